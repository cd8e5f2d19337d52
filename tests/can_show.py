"""Tells by its exit code whether a window with OpenGL can be opened here."""

from __future__ import annotations

import sys


def can_show() -> bool:
    from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext

    application = QGuiApplication([])
    surface, context = QOffscreenSurface(), QOpenGLContext()
    surface.create()
    shown = bool(context.create() and context.makeCurrent(surface))
    application.quit()
    return shown


if __name__ == "__main__":
    sys.exit(0 if can_show() else 1)
