"""Pictures and tables that a person checks a result by."""
