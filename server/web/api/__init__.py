"""JSON views: what tablets, carriers and programs ask. Each calls one use case and writes what it returns."""
