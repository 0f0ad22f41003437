"""Recipes: what is read, what is refused and in which words, what the hash hangs on."""

from __future__ import annotations

from pathlib import Path

import pytest

from serkit.errors import RecipeError
from serkit.features import s0, s1
from serkit.models import COMBINED, MODELS
from serkit.training.recipe_files import list_recipes, load_recipe, parse_recipe

BASE = """
name = "mine"
description = "A test."
[features]
sample_rate = 16000
layout = "mean_std"
window = { length = 1.0, trim_db = 40.0 }
features = [{ name = "mfcc", params = { n_mfcc = 13 } }, { name = "rms" }]
[model]
name = "random_forest"
params = { n_estimators = 10 }
"""


def changed(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new)


def test_a_recipe_says_what_its_text_says() -> None:
    recipe = parse_recipe(BASE)
    assert (recipe.name, recipe.model.name, recipe.model.params) == ("mine", "random_forest", {"n_estimators": 10})
    assert recipe.text == BASE
    extractor = recipe.front_end
    assert extractor.sample_rate == 16000
    assert extractor.window.length == 1.0
    assert extractor.window.trim_db == 40.0
    assert len(extractor.feature_names()) == 2 * (13 + 1)
    assert (recipe.augment, recipe.select) == (None, None)
    assert (recipe.balance.kind, recipe.validation.use) == ("none", "none")


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_recipe(BASE).name = "other"  # type: ignore[misc]


def test_the_hash_ignores_formatting_words_and_stated_defaults() -> None:
    base = parse_recipe(BASE).hash
    for same in (
        BASE.replace("\n", "\n\n# a comment\n"),
        changed('name = "mine"', 'name = "yours"').replace("A test.", "Another text."),
        changed("params = { n_mfcc = 13 }", "params = { n_mels = 128, n_mfcc = 13 }"),
        BASE + '[balance]\nkind = "none"\n',
    ):
        assert parse_recipe(same).hash == base


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n_mfcc = 13", "n_mfcc = 14"),
        ("n_estimators = 10", "n_estimators = 11"),
        ("length = 1.0", "length = 1.5"),
        ("16000", "22050"),
        ("[model]", '[validation]\nuse = "calibration"\n[model]'),
        ("[model]", "[select]\nk = 3\n[model]"),
        ("[model]", '[augment]\nchains = ["noise"]\n[model]'),
    ],
)
def test_the_hash_hangs_on_everything_that_changes_a_number(old: str, new: str) -> None:
    assert parse_recipe(changed(old, new)).hash != parse_recipe(BASE).hash


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "mine"', 'nam = "mine"', r"unknown key 'nam' in the top level: did you mean 'name'\?"),
        ("length = 1.0", "lenght = 1.0", r"unknown key 'lenght' in \[features.window\]: did you mean 'length'\?"),
        ("layout", "layuot", r"unknown key 'layuot' in \[features\]: did you mean 'layout'\?"),
        ('{ name = "rms" }', '{ nane = "rms" }', r"unknown key 'nane' in \[features.features\]: did you mean 'name'\?"),
        ('"rms"', '"rmss"', r"Unknown feature 'rmss': did you mean 'rms'\?"),
        ("n_mfcc =", "n_mfc =", r"did you mean 'n_mfcc'\?"),
        ('"random_forest"', '"random_forst"', r"unknown model 'random_forst': did you mean 'random_forest'\?"),
        ("n_estimators", "n_estimator", r"unknown key 'n_estimator' in .*did you mean 'n_estimators'\?"),
        ("[model]", '[augment]\nchains = ["nois"]\n[model]', r"unknown chain 'nois': did you mean 'noise'\?"),
        ("[model]", "[augment]\nchains = 3\n[model]", r"'augment.chains': .*got 3"),
        ("[features]", 'augment = "noise"\n[features]', r"'augment': .*got 'noise'"),
        ("n_mfcc = 13", "n_mfcc = 200", r"200.*128"),
        ("length = 1.0", "length = -1.0", r"'features.window.length': .*greater than 0, got -1.0"),
        ("16000", '"16000"', r"'features.sample_rate': .*integer, got '16000'"),
        ("n_estimators = 10", "n_estimators = -3", r"'n_estimators' .*-3"),
        ("n_estimators = 10", "random_state = 3", r"unknown key 'random_state'"),
        ("[model]", "[select]\nk = 1000\n[model]", r"k = 1000, but \[features\] gives 28 features"),
        ("[model]", '[validation]\nuse = "test"\n[model]', r"'validation.use': .* or 'selection', got 'test'"),
        ("[model]", '[validation]\nuse = "early-stopping"\n[model]', r"'random_forest' does not stop early"),
        ('"mean_std"', '"frames"', r"'random_forest' needs features of layout mean_std or flat, .*got 'frames' of"),
        ('description = "A test."', "", r"'description' is missing"),
        ('name = "mine"', 'name = "../mine"', r"'name': "),
    ],
)
def test_a_mistake_is_one_sentence_that_names_it(old: str, new: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        parse_recipe(changed(old, new), source="mine.toml")
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("learning_rate = 0.0", "learning_rate must be between"),
        ("max_depth = 2.5", "max_depth must be an integer"),
        ("early_stopping_rounds = 5", r"needs \[validation\] use = 'early-stopping'"),
    ],
)
def test_xgboosts_values_are_looked_at_when_the_recipe_is_read(params: str, message: str) -> None:
    text = changed('"random_forest"', '"xgboost"').replace("n_estimators = 10", params)
    with pytest.raises(RecipeError, match=message):
        parse_recipe(text)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ('epochs = "many"', "epochs must be an integer, got 'many'"),
        ("batch_size = 1", "batch_size must be at least 2, got 1"),
        ("learning_rate = nan", "learning_rate must be between 1e-08 and 1, got nan"),
        ('device = "gpu"', "device must be 'auto', 'cpu' or 'cuda', got 'gpu'"),
    ],
)
def test_the_cnns_values_are_looked_at_when_the_recipe_is_read(params: str, message: str) -> None:
    text = changed('"random_forest"', '"cnn"').replace("mean_std", "frames").replace("n_estimators = 10", params)
    with pytest.raises(RecipeError, match=message):
        parse_recipe(text)


def test_a_model_without_class_weights_says_so() -> None:
    text = load_recipe("cnn").text + '\n[balance]\nkind = "class_weight"\n'
    with pytest.raises(RecipeError, match="'cnn' does not support class weights: use oversample"):
        parse_recipe(text)
    assert parse_recipe(text.replace("class_weight", "oversample")).balance.kind == "oversample"


def test_frames_cannot_be_balanced_by_smote() -> None:
    text = load_recipe("cnn").text + '\n[balance]\nkind = "smote"\n'
    with pytest.raises(RecipeError, match="'smote' works on vectors"):
        parse_recipe(text)


def test_clips_that_smote_makes_come_from_no_corpus() -> None:
    text = changed("random_forest", "softmax").replace("params = { n_estimators = 10 }\n", "")
    with pytest.raises(RecipeError, match="'softmax' asks where clips come from, and those that SMOTE makes"):
        parse_recipe(text + '\n[balance]\nkind = "smote"\n')


def test_a_copy_a_chain_unless_told_otherwise() -> None:
    two = parse_recipe(BASE + '[augment]\nchains = ["noise", "pitch"]\n')
    assert two.augment is not None
    assert two.augment.copies == 2
    five = parse_recipe(BASE + '[augment]\nchains = ["noise", "pitch"]\ncopies = 5\n')
    assert five.augment is not None
    assert five.augment.copies == 5


def test_reading_by_name_and_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BASE, encoding="utf-8")
    assert load_recipe(path).hash == parse_recipe(BASE).hash
    with pytest.raises(RecipeError, match=r"no recipe 's0-forrest': did you mean 's0-forest'\?"):
        load_recipe("s0-forrest")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "missing.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "folder.toml")
    path.write_bytes(b"name = \xff\xfe")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(path)
    path.write_text("name = ", encoding="utf-8")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(path)


@pytest.mark.parametrize("name", list_recipes())
def test_every_packaged_recipe_is_sound(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert list_recipes()[name] == recipe.description
    assert recipe.model.name in {*MODELS, *COMBINED}


def test_packaged_recipes_have_the_features_of_their_systems() -> None:
    assert load_recipe("s0-forest").front_end == s0()
    assert load_recipe("s1-xgboost").front_end == s1()
