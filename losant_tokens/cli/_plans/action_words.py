"""The actions of plans in the words of the command."""

VERBS = {
    "delete": "Delete",
    "deactivate": "Deactivate",
    "activate": "Activate",
    "rotate": "Rotate",
}
PROGRESS_LABELS = {
    "delete": "Deleting",
    "deactivate": "Deactivating",
    "activate": "Activating",
    "rotate": "Rotating",
}
DONE = {
    "delete": "Deleted",
    "deactivate": "Deactivated",
    "activate": "Activated",
    "rotate": "Rotated",
}
