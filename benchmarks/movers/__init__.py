"""How often `report` names the groups that moved, and no others, and whether it finds out why."""
