"""Where rows come from: warehouses, databases and files, each read as Arrow streams."""
