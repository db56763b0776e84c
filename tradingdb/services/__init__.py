"""The embedded servers and the supervisor: PostgreSQL, Valkey and our own processes under one state folder.

Imports nothing of ours from elsewhere, and no Django: it runs before Django can.
"""
