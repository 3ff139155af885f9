"""What the files to deploy name already and the program does not have yet."""

COMING = {
    "pointsman_snapshot_lag_seconds",
    "pointsman_lease_held",
    "pointsman_redis_up",
    "POINTSMAN_DATABASE_URL_FILE",
    "POINTSMAN_REDIS_URL_FILE",
    "POINTSMAN_PEPPER_FILE",
    "POINTSMAN_BROKER_URL",
    "POINTSMAN_VECTORS",
}
