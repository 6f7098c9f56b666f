"""Places: `regions` are the home ministry's areas, `health_posts` a district's health centres and posyandu."""
