"""Hold forecasts against rehearsals: FORECAST.md."""
