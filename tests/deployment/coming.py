"""What the files to deploy name already and the program does not have yet."""

COMING = {
    "POINTSMAN_VECTORS",
}
