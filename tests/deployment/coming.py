"""What the files to deploy name already and the program does not have yet."""

COMING = {
    "pointsman_redis_up",
    "POINTSMAN_REDIS_URL_FILE",
    "POINTSMAN_BROKER_URL",
    "POINTSMAN_VECTORS",
}
