import uuid

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="OwnCertificate",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("sequence", models.PositiveIntegerField(unique=True)),
                ("node_id", models.CharField(max_length=65)),
                ("certificate_der", models.BinaryField()),
                ("starts_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(db_index=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "own certificate",
            },
        ),
        migrations.CreateModel(
            name="Peer",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("node_id", models.CharField(max_length=65, unique=True)),
                ("public_key_der", models.BinaryField()),
                ("first_seen_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("last_seen_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("certificate_expires_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("suspended", "Suspended")], default="active", max_length=16
                    ),
                ),
                ("session_key_id", models.BinaryField(blank=True, null=True)),
                ("session_public_key_der", models.BinaryField(blank=True, null=True)),
                ("session_key_created_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="SpentAuthorization",
            fields=[
                ("nonce_sha256", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("identity_created", "Identity Created"),
                            ("certificate_issued", "Certificate Issued"),
                            ("session_key_created", "Session Key Created"),
                            ("peer_registered", "Peer Registered"),
                            ("peer_suspended", "Peer Suspended"),
                            ("peer_resumed", "Peer Resumed"),
                            ("parcel_stored", "Parcel Stored"),
                            ("parcel_replaced", "Parcel Replaced"),
                            ("parcel_collected", "Parcel Collected"),
                            ("parcel_accepted", "Parcel Accepted"),
                            ("parcel_delivered", "Parcel Delivered"),
                            ("parcel_rejected", "Parcel Rejected"),
                            ("parcel_held", "Parcel Held"),
                            ("parcel_released", "Parcel Released"),
                            ("parcel_expired", "Parcel Expired"),
                            ("parcel_discarded", "Parcel Discarded"),
                        ],
                        max_length=32,
                    ),
                ),
                ("subject_id", models.UUIDField(blank=True, null=True)),
                ("peer_id", models.CharField(blank=True, max_length=65)),
                ("detail", models.CharField(blank=True, max_length=255)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["subject_id", "at"], name="event_of_subject"),
                    models.Index(fields=["peer_id", "at"], name="event_of_peer"),
                ],
            },
        ),
        migrations.CreateModel(
            name="OutgoingParcel",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("destination", models.CharField(max_length=1024)),
                ("peer_id", models.CharField(max_length=65)),
                ("recipient_id", models.CharField(max_length=1024)),
                ("sender_id", models.CharField(max_length=65)),
                ("parcel_id_sha256", models.CharField(max_length=64)),
                ("object_key", models.CharField(max_length=255)),
                ("size", models.PositiveIntegerField()),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField()),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.CharField(blank=True, max_length=255)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("held", "Held"),
                            ("delivered", "Delivered"),
                            ("rejected", "Rejected"),
                            ("expired", "Expired"),
                            ("discarded", "Discarded"),
                        ],
                        default="pending",
                        max_length=16,
                    ),
                ),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["state", "next_attempt_at"], name="outgoing_parcel_due"),
                    models.Index(fields=["state", "expires_at"], name="outgoing_parcel_expiry"),
                    models.Index(fields=["settled_at"], name="outgoing_parcel_retention"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ParcelRecord",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("peer_id", models.CharField(max_length=65)),
                ("recipient_id", models.CharField(max_length=1024)),
                ("sender_id", models.CharField(max_length=65)),
                ("parcel_id_sha256", models.CharField(max_length=64)),
                ("parcel_id", models.BinaryField()),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("peer_id", "recipient_id", "sender_id", "parcel_id_sha256"), name="parcel_record_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StoredKey",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("identity", "Identity"), ("session", "Session")], max_length=16)),
                ("key_id", models.CharField(max_length=255)),
                ("node_id", models.CharField(max_length=65)),
                ("peer_id", models.CharField(blank=True, max_length=65)),
                ("sealed", models.BinaryField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "private key",
                "indexes": [
                    models.Index(fields=["kind", "node_id", "peer_id", "created_at"], name="stored_key_latest")
                ],
                "constraints": [models.UniqueConstraint(fields=("kind", "key_id"), name="stored_key_once")],
            },
        ),
        migrations.CreateModel(
            name="StoredParcel",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("peer_id", models.CharField(max_length=65)),
                ("recipient_id", models.CharField(max_length=65)),
                ("sender_id", models.CharField(max_length=65)),
                ("parcel_id_sha256", models.CharField(max_length=64)),
                ("revision", models.UUIDField(default=uuid.uuid4)),
                ("object_key", models.CharField(max_length=255)),
                ("size", models.PositiveIntegerField()),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("collected", "Collected"),
                            ("expired", "Expired"),
                            ("discarded", "Discarded"),
                        ],
                        default="queued",
                        max_length=16,
                    ),
                ),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["peer_id", "state", "received_at"], name="stored_parcel_queue"),
                    models.Index(fields=["state", "expires_at"], name="stored_parcel_expiry"),
                    models.Index(fields=["settled_at"], name="stored_parcel_retention"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("peer_id", "recipient_id", "sender_id", "parcel_id_sha256"), name="stored_parcel_once"
                    )
                ],
            },
        ),
    ]
