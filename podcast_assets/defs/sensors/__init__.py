"""Sensors that request runs or report on them."""
