"""The one URL of PoHTTP."""

from django.urls import path

from pohttp.views import receive_parcel

urlpatterns = [path("", receive_parcel)]
