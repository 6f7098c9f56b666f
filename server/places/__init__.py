"""Places.

regions        administrative areas with their Kemendagri codes. Pure data, read from a CSV file
health_posts   the health centres (puskesmas) and posts (posyandu) of a district, added and found
"""
