"""Which model: those that are installed and folders of the user, with what each card says."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from medseg import MedsegError, models
from medseg.models.bundle import read_card
from medseg.models.fits import wants
from medseg.models.registry import find
from napari_plugin._telling import tell

if TYPE_CHECKING:
    from medseg.models.card import ModelCard


class ModelChoice(QWidget):
    """A list of models, a button for a model folder, and the card of the chosen one in words.

    `changed` comes when another model is chosen.

    Parameters
    ----------
    preferred : str
        Name or folder of the model to begin with; "" for the first.
    brief : bool
        Leave out the summary.
    parent : QWidget, optional
    """

    changed = Signal()

    def __init__(self, preferred: str = "", *, brief: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._brief = brief
        self._cards: list[tuple[str, ModelCard]] = []
        self.combo, self.about = QComboBox(), QLabel()
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(10)
        self.folder_button = QPushButton("Folder …")
        self.folder_button.setToolTip("Use a model folder that is not installed, such as one that you trained")
        self.folder_button.clicked.connect(self._ask_for_folder)
        self.about.setWordWrap(True)
        self._lay_out()
        for card in models():
            self._add(card.name, card)
        self.combo.currentIndexChanged.connect(self._show)
        if preferred:
            self.choose(preferred)
        self._show()

    @property
    def name(self) -> str:
        """Name of the chosen model, or the path of its folder."""
        row = self.combo.currentIndex()
        return self._cards[row][0] if row >= 0 else ""

    @property
    def card(self) -> ModelCard | None:
        """The card of the chosen model."""
        row = self.combo.currentIndex()
        return self._cards[row][1] if row >= 0 else None

    def choose_first(self, suits: Callable[[ModelCard], bool]) -> None:
        """Choose the first model that suits, where the chosen one does not and another one does."""
        if self.card is None or suits(self.card):
            return
        row = next((row for row, (_, card) in enumerate(self._cards) if suits(card)), None)
        if row is not None:
            self.combo.setCurrentIndex(row)

    def choose(self, name_or_folder: str) -> bool:
        """Choose a model by its name or folder; a folder that is refused is told, and the choice stays."""
        names = [name for name, _ in self._cards]
        if name_or_folder not in names:
            try:
                card = read_card(find(name_or_folder))
            except MedsegError as error:
                tell(error)
                return False
            self._add(name_or_folder, card)
            names.append(name_or_folder)
        self.combo.setCurrentIndex(names.index(name_or_folder))
        return True

    def _add(self, name: str, card: ModelCard) -> None:
        self._cards.append((name, card))
        shown = card.name if name == card.name else f"{card.name} ({Path(name).name}/)"
        self.combo.addItem(shown, name)

    def _ask_for_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Model folder")
        if folder:
            self.choose(folder)

    def _show(self, _: int = 0) -> None:
        card = self.card
        self.about.setText("No model is installed." if card is None else described(card, brief=self._brief))
        self.changed.emit()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.combo, 1)
        row.addWidget(self.folder_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.about)


def described(card: ModelCard, *, brief: bool = False) -> str:
    """Return what a user should know of a model before using it, as rich text."""
    lines = (
        escape(card.summary),
        f"Wants {escape(wants(card))}. Licence {escape(card.licence)}, version {escape(card.version)}.",
        f'<span style="color: #ffb000">{escape(card.intended_use)}</span>',
    )
    return "".join(f'<p style="margin: 3px 0">{line}</p>' for line in lines[brief:])
