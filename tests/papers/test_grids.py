"""Grids as tables, and what stands in for published networks."""

from __future__ import annotations

from branches.describing import describe
from papers.grids import below, stand_in, tabulated
from papers.measures import ACCURACY
from papers.paper import Cell, Scale

CELL = Cell(describe("digits_lenet_8"), ACCURACY)


def test_heads_are_in_the_order_in_which_they_come() -> None:
    """Each once."""
    cells = [("b", "2", CELL), ("b", "1", CELL), ("a", "2", CELL)]
    table = tabulated("A table", "row", cells)
    assert (table.rows, table.columns) == (("b", "a"), ("2", "1"))
    assert [(row, column) for row, column, _ in table.in_order] == [place[:2] for place in cells]


def test_columns_that_are_named_come_first() -> None:
    """Those without a cell in the first row too."""
    table = tabulated("A table", "row", [("a", "2", CELL), ("a", "3", CELL)], ("1", "2"))
    assert table.columns == ("1", "2", "3")


def test_a_network_on_digits_is_trained_by_the_recipe_that_it_stands_in_for() -> None:
    """But for what is given."""
    made = stand_in("gradient_flow_resnet_56", "cifar_resnet_8_4", training_steps="2ep")
    recipe = describe("gradient_flow_resnet_56").training
    assert (made.model.model_name, made.dataset.dataset_name) == ("cifar_resnet_8_4", "digits")
    assert made.training.loss_temperature == recipe.loss_temperature == 5
    assert str(made.training.training_steps) == "2ep"


def test_small_networks_are_said_to_be_small() -> None:
    """Below every table of theirs, and no other."""
    assert below(Scale.FULL) == ()
    assert "digits" in below(Scale.SMOKE)[0]
