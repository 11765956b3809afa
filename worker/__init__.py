"""The arq door: carries the tick, ids only. What is done in a tick is the broker's business."""
