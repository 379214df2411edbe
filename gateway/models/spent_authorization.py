"""Registration authorisations that have been used, so that none is used twice."""

from django.db import models

from gateway.models.sizes import SHA256_HEX_LENGTH


class SpentAuthorization(models.Model):
    """One used authorisation (PNRA), by its nonce; of two requests with the same one only one makes the row."""

    nonce_sha256 = models.CharField(max_length=SHA256_HEX_LENGTH, primary_key=True)
    # The authorisation's own expiry: afterwards it is refused without this row.
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.nonce_sha256
