"""Who may sign in: Django's own pages of users and groups."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User

from gateway.admin.site import console

admin.register(User, site=console)(UserAdmin)
admin.register(Group, site=console)(GroupAdmin)
