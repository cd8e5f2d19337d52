"""Ends with 0 where Qt opens a window with OpenGL, as napari needs."""

import sys

from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext

application = QGuiApplication(sys.argv)
surface, context = QOffscreenSurface(), QOpenGLContext()
surface.create()
sys.exit(0 if context.create() and context.makeCurrent(surface) else 1)
