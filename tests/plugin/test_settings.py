"""Preferences of the plugin: what the widgets begin with."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("napari")
from npe2 import PluginManifest

import napari_plugin
from napari_plugin._settings import Settings, settings

MANIFEST = Path(napari_plugin.__file__).with_name("napari.yaml")


@pytest.fixture
def preferences(plugin_settings, npe2pm):
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    from napari.settings import get_plugin_settings

    return get_plugin_settings("medseg").segment


def test_untouched_preferences_are_the_defaults(preferences):
    assert settings() == Settings()


def test_what_the_user_prefers_is_taken(preferences):
    preferences.model = "nuclei"
    preferences.device = "cpu"
    preferences.threads = 2
    preferences.keep_maps = True
    assert settings() == Settings("nuclei", "cpu", 2, True)


def test_a_napari_without_preferences_of_plugins_gives_the_defaults(monkeypatch):
    monkeypatch.setitem(sys.modules, "napari.settings", SimpleNamespace())
    assert settings() == Settings()


def test_a_plugin_that_is_not_registered_gives_the_defaults(plugin_settings):
    assert settings() == Settings()


@pytest.mark.gl
def test_widgets_begin_with_what_is_preferred(preferences, make_napari_viewer_proxy, qtbot):
    from napari_plugin._batch import BatchWidget
    from napari_plugin._segment import SegmentWidget

    preferences.model = "nuclei"
    preferences.device = "cpu"
    preferences.keep_maps = True
    viewer = make_napari_viewer_proxy()
    for made in (SegmentWidget(viewer), BatchWidget(viewer)):
        qtbot.addWidget(made)
        assert made.model.name == "nuclei"
        assert made.device_combo.currentText() == "cpu"
        assert made.maps_box.isChecked()
