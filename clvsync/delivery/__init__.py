"""The way out: every batch written before it is sent, every answer recorded."""

from clvsync.delivery.deliver import deliver, keep_refused
from clvsync.delivery.recovery import poll, recover
from clvsync.delivery.sending import Clock, Delivered, Progress

__all__ = ["Clock", "Delivered", "Progress", "deliver", "keep_refused", "poll", "recover"]
