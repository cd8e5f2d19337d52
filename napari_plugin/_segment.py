"""Segment an image layer with a model: choose, run beside the window, and get labels or objects on the same place."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QWidget

from medseg import MedsegError, Volume
from medseg.models.fits import extent_notice, misfit
from napari_plugin._layers import volume_from_layer
from napari_plugin._loaded import LoadedModel
from napari_plugin._request import Request, request_of_image
from napari_plugin._segment_answer import Answer, Asked, answer_steps
from napari_plugin._segment_form import SegmentForm
from napari_plugin._settings import settings
from napari_plugin._telling import tell, warn
from napari_plugin._turn import NETWORKS

if TYPE_CHECKING:
    import napari.viewer


class SegmentWidget(SegmentForm):
    """Segments an image layer with a model of the registry or a model folder.

    Parameters
    ----------
    viewer : Viewer
    parent : QWidget, optional
    """

    _docked = _over = False

    # napari gives its viewer to the parameter with exactly this annotation
    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(viewer, settings(), parent)
        self._viewer = viewer
        self._loaded = LoadedModel()
        self.run_button.clicked.connect(self.segment)
        self.command_button.clicked.connect(lambda: self._copy(recipe=False))
        self.recipe_button.clicked.connect(lambda: self._copy(recipe=True))
        self.where.draw_button.clicked.connect(self._draw)
        self.channels.changed.connect(self._choose_what_fits)
        for signal in (self.model.changed, self.where.changed):
            signal.connect(self.refresh)
        self.bar.done.connect(self._finish)
        self.bar.stopped.connect(self._stopped)
        self.bar.failed.connect(self._fail)
        self.bar.ended.connect(self.refresh)
        viewer.layers.events.inserted.connect(self.refresh)
        viewer.layers.events.removed.connect(self.refresh)
        self._choose_what_fits()

    def refresh(self, _: Any = None) -> None:
        """Check whether the model suits the image, and say so before anything runs."""
        self.channels.fit(self.model.card)
        reason = "A run is under way." if self.bar.busy else self.reason()
        self.tell_reason(reason, running=self.bar.busy, doubt="" if reason else self._doubt())
        self.show_diameter(self.model.card, self._unit())

    def reason(self) -> str:
        """Return why Segment cannot be pressed, in a sentence; "" where it can."""
        card = self.model.card
        if card is None:
            return "No model is installed."
        if self.channels.first.layer is None:
            return "Open an image first: drag it into the window, or take a sample from the File menu."
        if not self.channels.layers:
            return "Choose a layer for every channel."
        try:
            volume = self.channels.outline(card)
            problem = misfit(card, volume, modality=modality_of(volume))
        except MedsegError as error:
            return _sentence(error)
        if problem is not None:
            return _sentence(problem)
        try:
            self.where.box(self.channels.first.layer)
        except LookupError as missing:
            return str(missing)
        return ""

    def _doubt(self) -> str:
        """Return what speaks against the choice without forbidding it: an image much larger than those of training."""
        card, layer = self.model.card, self.channels.first.layer
        if card is None or layer is None:
            return ""
        grid, box = volume_from_layer(layer).grid, self.where.box(layer)
        if box is not None:
            grid = grid.cropped(tuple(start for start, _ in box), tuple(stop - start for start, stop in box))
        unlike = extent_notice(card, grid)
        return f"{unlike}. Choose another part under “Where”." if unlike else ""

    def segment(self) -> None:
        """Start a run with what is chosen."""
        try:
            asked = self.asked()
        except (MedsegError, LookupError) as problem:
            if isinstance(problem, MedsegError):
                tell(problem)
            self.refresh()
            return
        self.result.clear()
        self._loaded.want((asked.model, asked.device))
        work = partial(answer_steps, asked, self._loaded)
        self.bar.start(lambda: NETWORKS.steps(work), what=f"Segmenting {asked.name}", keepable=True)
        self.refresh()

    def asked(self) -> Asked:
        """Return what a run would work on now.

        Raises
        ------
        MedsegError or LookupError
            If something is missing or does not fit.
        """
        from medseg.pipeline import SegmentOptions

        card, layer = self.model.card, self.channels.first.layer
        if card is None or layer is None:
            raise LookupError(self.reason())
        outline = self.channels.outline(card)
        problem = misfit(card, outline, modality=modality_of(outline))
        if problem is not None:
            raise problem
        objects, detector = card.task != "semantic", card.task == "detection"
        maps = self.maps_box.isChecked() and not detector
        options = SegmentOptions(
            device=self.device_combo.currentText(),
            tta=self.tta_box.isChecked(),
            roi=self.where.box(layer),
            save_maps=maps or (objects and not detector),  # objects can be split anew from their maps
            diameter=self.diameter() if objects else None,
        )
        request = self._request_or_none()
        return Asked(self.channels.volumes(), layer.name, card, self.model.name, options.device, options, maps, request)

    def request(self) -> Request:
        """Return the command that does the same to the file of the chosen layer.

        Raises
        ------
        LookupError
            With a sentence, if no command can.
        """
        card, layers = self.model.card, self.channels.layers
        if card is None or not layers:
            raise LookupError(self.reason())
        objects = card.task != "semantic"
        device = self.device_combo.currentText()
        given = {
            "verb": "count" if objects else "segment",
            "model": self.model.name,
            "device": None if device == "auto" else device,
            "tta": self.tta_box.isChecked(),
            "roi": self.where.box(layers[0]),
            "save_maps": self.maps_box.isChecked() and card.task != "detection",
            "diameter": self.diameter() if objects else None,
        }
        volumes = self.channels.volumes()
        names = ["" if len(volume.channels) > 1 else volume.channels[0] for volume in volumes]
        return request_of_image([volume.source for volume in volumes], names, **given)

    def event(self, event: QEvent) -> bool:
        """Give up the work when the dock is closed: napari takes the widget out of it then."""
        if event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self.give_up()
            self._docked = self.parent() is not None
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Give up the work."""
        self.give_up()
        super().closeEvent(event)

    def give_up(self) -> None:
        """Stop a run without asking, forget the models, and listen to the viewer no longer."""
        if self._over:
            return
        self._over = True
        self.bar.close_down()
        self._loaded.forget()
        for emitter in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            emitter.disconnect(self.refresh)
        self.channels.let_go()
        self.where.let_go()

    def _finish(self, answer: Answer) -> None:
        prediction = answer.prediction
        for data, attributes, kind in answer.layers:
            getattr(self._viewer, f"add_{kind}")(data, **attributes)
        of_image = {notice for volume in answer.asked.volumes for notice in volume.warnings}  # told when it was opened
        warn(notice for notice in prediction.warnings if notice not in of_image)
        self.refresh()  # what speaks against the choice stands above then, and need not be told twice
        self.tell_result(answer)

    def _stopped(self) -> None:
        self.result.setText("Stopped. Nothing was kept.")
        if not self.bar.busy:
            self._loaded.give_up()

    def _fail(self, error: Exception) -> None:
        self.result.setText(
            _sentence(error) if isinstance(error, MedsegError) else "A fault of medseg; see the message."
        )

    def _request_or_none(self) -> Request | None:
        try:
            return self.request()
        except (LookupError, MedsegError):
            return None

    def _copy(self, *, recipe: bool) -> None:
        try:
            request = self.request()
        except (LookupError, MedsegError) as problem:
            self.result.setText(_sentence(problem) if isinstance(problem, MedsegError) else str(problem))
            return
        text = request.recipe() if recipe else request.command_line()
        QApplication.clipboard().setText(text)
        self.result.setText(
            "Copied. Save it as recipe.yaml and run: medseg run recipe.yaml" if recipe else f"Copied: {text}"
        )

    def _draw(self) -> None:
        if self.channels.first.layer is not None:
            self.where.start_drawing(self.channels.first.layer)

    def _choose_what_fits(self) -> None:
        """Choose the first model that suits a newly chosen image, where the chosen one does not."""
        layer = self.channels.first.layer
        if layer is not None and not self.bar.busy:
            with suppress(MedsegError):  # refresh tells it
                volume = volume_from_layer(layer)
                found = modality_of(volume)
                self.model.choose_first(lambda card: misfit(card, volume, modality=found) is None)
        self.refresh()

    def _unit(self) -> str:
        layer = self.channels.first.layer
        if layer is not None:
            with suppress(MedsegError):
                return volume_from_layer(layer).grid.unit
        return "px"


def modality_of(volume: Volume) -> str:
    """Return what made an image, as DICOM writes it; "" where it is not known for sure.

    Values that are not in memory are not looked at.
    """
    from medseg.report.window import modality

    array: object = volume.array
    if isinstance(array, np.ndarray):
        return modality(volume)
    return str(volume.source.details.get("modality") or "") if volume.source else ""


def _sentence(error: MedsegError) -> str:
    return f"Found {error.found}, expected {error.expected}. {error.remedy}"
