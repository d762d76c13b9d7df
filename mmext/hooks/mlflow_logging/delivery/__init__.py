"""How it gets there: records, spool, shipper, store. Knows neither torch nor the host."""
