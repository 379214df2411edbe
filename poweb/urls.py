"""The URLs of PoWeb; its WebSocket is in gateway/asgi.py."""

from django.urls import path

from poweb import views

urlpatterns = [
    path("", views.greet),
    path("connection-params.der", views.get_connection_params),
    # The specification has the singular, the deployed clients the plural.
    path("v1/pre-registration", views.pre_register),
    path("v1/pre-registrations", views.pre_register),
    path("v1/nodes", views.register),
    path("v1/parcels", views.deliver_parcel),
    path("v1/parcel-collection", views.refuse_plain_collection),
]
