"""What the console's port serves beside the admin: health, metrics, and headers that guard its pages."""
