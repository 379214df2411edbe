import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from gateway.admin import sign_in
from gateway.admin.sign_in import MAX_ATTEMPTS, SignInForm
from tests.unit.gateway.admin.conftest import PASSWORD


@pytest.fixture(autouse=True)
def quick_hasher(settings: object) -> None:
    """Guessing is slow on purpose, but not what is tested here."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # type: ignore[attr-defined]


def sign_in_as_admin(client: Client, password: str = PASSWORD, address: str = "192.0.2.1") -> "HttpResponse":
    form = {"username": "admin", "password": password, "next": "/admin/"}
    response: HttpResponse = client.post("/admin/login/", form, REMOTE_ADDR=address)  # type: ignore[assignment]
    return response


def guess(client: Client, times: int, address: str = "192.0.2.1") -> None:
    for _ in range(times):
        assert sign_in_as_admin(client, "wrong", address).status_code == 200


def test_right_password_opens_the_console(superuser: User, client: Client) -> None:
    assert sign_in_as_admin(client)["Location"] == "/admin/"


def test_wrong_password_does_not(superuser: User, client: Client) -> None:
    assert "correct username and password" in sign_in_as_admin(client, "wrong").content.decode()
    assert client.get("/admin/gateway/peer/").status_code == 302


def test_who_is_no_staff_is_refused(db: None, client: Client) -> None:
    User.objects.create_user("admin", password=PASSWORD)
    assert sign_in_as_admin(client).status_code == 200


def test_guessing_ends_after_some_attempts(superuser: User, client: Client) -> None:
    guess(client, MAX_ATTEMPTS)
    response = sign_in_as_admin(client)
    assert response.status_code == 200
    assert "Too many attempts" in response.content.decode()


def test_other_networks_are_not_concerned(superuser: User, client: Client) -> None:
    guess(client, MAX_ATTEMPTS + 1)
    assert sign_in_as_admin(client, address="192.0.2.2").status_code == 302


def test_addresses_of_one_network_count_together(superuser: User, client: Client) -> None:
    for number in range(MAX_ATTEMPTS):
        guess(client, 1, f"2001:db8::{number:x}")
    assert sign_in_as_admin(client, address="2001:db8::ffff").status_code == 200
    assert sign_in_as_admin(client, address="2001:db8:0:1::1").status_code == 302


def test_waiting_helps(superuser: User, client: Client) -> None:
    guess(client, MAX_ATTEMPTS + 1)
    cache.delete(sign_in._key("192.0.2.1"))  # noqa: SLF001 - as time does
    assert sign_in_as_admin(client).status_code == 302


def test_success_forgives_failures(superuser: User, client: Client) -> None:
    guess(client, MAX_ATTEMPTS - 1)
    assert sign_in_as_admin(client).status_code == 302
    guess(client, MAX_ATTEMPTS - 1)
    assert sign_in_as_admin(client).status_code == 302


def test_window_that_ends_meanwhile_admits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "WINDOW_SECONDS", -1)
    assert sign_in._admit("192.0.2.1")  # noqa: SLF001


def test_attempts_without_an_address_count_together(superuser: User) -> None:
    for _ in range(MAX_ATTEMPTS):
        assert not SignInForm(None, data={"username": "admin", "password": "wrong"}).is_valid()
    assert not SignInForm(None, data={"username": "admin", "password": PASSWORD}).is_valid()
