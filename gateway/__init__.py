"""The Django project and the domain of the gateway."""
