"""The URLs of the console's port; those of the public edges stand in poweb/ and pohttp/."""

from django.urls import path
from django.views.generic import RedirectView

from gateway.admin.site import console
from gateway.console.views import get_liveness, get_metrics, get_readiness

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("livez", get_liveness),
    path("readyz", get_readiness),
    path("metrics", get_metrics),
    path("admin/", console.urls),
]
