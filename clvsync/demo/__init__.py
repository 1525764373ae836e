"""The sample shop Northwind Outdoor, its configuration, and the picture a demo run ends with."""
