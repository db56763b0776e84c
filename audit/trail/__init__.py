"""The audit trail: what changed in the tables that count, written by triggers, sealed and anchored."""
