"""Gradient boosting with early stopping: the default expert beside a linear one."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


_FEWEST_COLUMNS = 8
_MOST_COLUMNS = 256


class _BoostedTrees(BaseEstimator):
    """LightGBM with small steps, column subsampling and early stopping on an inner part.

    The number of trees is where the loss of the inner validation part is lowest; the model is then
    fitted again with that number on all rows. NaN is a value that trees know. One thread, so that
    the same seed gives the same bits.

    Parameters
    ----------
    learning_rate : float, optional
        0.03 where not given; 0.1 for more than two classes, where each step grows a tree per
        class and small ones cost the most.
    max_leaf_nodes, min_samples_leaf, l2_regularization : float or int
        As in scikit-learn's histogram gradient boosting.
    max_features : float
        Share of the columns drawn for each tree, but never fewer than 8 columns nor more than 256:
        in a very wide modality more columns cost time and add little.
    subsample : float
        Share of the rows drawn for each tree.
    max_iter : int
        Trees at most (per class).
    n_iter_no_change : int, optional
        Stop after so many steps without improvement on the inner part; 50 of the small steps and
        20 of the large ones where not given.
    n_models : int
        Models with different seeds whose predictions are averaged.
    n_iter : int, optional
        A fixed number of trees: no inner part, no early stopping.
    random_state : int

    References
    ----------
    Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", NeurIPS 2017.
    """

    _objective: Any = None

    def __init__(
        self,
        *,
        learning_rate: float | None = None,
        max_leaf_nodes: int = 15,
        min_samples_leaf: int = 20,
        l2_regularization: float = 10.0,
        max_features: float = 0.2,
        subsample: float = 0.8,
        max_iter: int = 2000,
        n_iter_no_change: int | None = None,
        n_models: int = 1,
        n_iter: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.max_features = max_features
        self.subsample = subsample
        self.max_iter = max_iter
        self.n_iter_no_change = n_iter_no_change
        self.n_models = n_models
        self.n_iter = n_iter
        self.random_state = random_state

    def fit(
        self,
        X: FloatArray,
        y: npt.NDArray[Any],
        sample_weight: FloatArray | None = None,
        validation: BoolArray | None = None,
        refit: bool = True,
    ) -> Self:
        """Fit on (n_samples, n_features), stopping early on the rows flagged in `validation`.

        `refit` says whether to fit again on all rows with the number of trees found.
        """
        X = np.asarray(X, dtype=float)
        self.n_features_in_ = X.shape[1]
        target = self._encode(y)
        draw, *seeds = np.random.SeedSequence(self.random_state).generate_state(self.n_models + 1)
        n_iter = self.n_iter
        if n_iter is None and validation is None:
            validation = self._inner_part(target, int(draw))
        if n_iter is None and validation is not None and not self._usable(target, validation):
            validation = None
        self.models_ = []
        for seed in seeds:
            trees = n_iter
            if trees is None and validation is not None:
                model = self._train(X, target, sample_weight, int(seed), self.max_iter, validation)
                trees = max(1, int(model.best_iteration_ or self.max_iter))
                if not refit:
                    self.models_.append((model, trees))
                    continue
            trees = trees or 50
            self.models_.append(
                (self._train(X, target, sample_weight, int(seed), trees, None), trees)
            )
        self.n_iter_ = int(np.median([trees for _, trees in self.models_]))
        return self

    def _train(
        self,
        X: FloatArray,
        y: npt.NDArray[Any],
        weight: FloatArray | None,
        seed: int,
        trees: int,
        validation: BoolArray | None,
    ) -> Any:
        import lightgbm

        model = self._objective(
            n_estimators=trees,
            learning_rate=self._step(y),
            num_leaves=self.max_leaf_nodes,
            min_child_samples=max(1, min(self.min_samples_leaf, len(X) // 10)),
            reg_lambda=self.l2_regularization,
            colsample_bytree=self._column_share(X.shape[1]),
            subsample=self.subsample,
            subsample_freq=1,
            random_state=seed % (2**31 - 1),
            n_jobs=1,
            deterministic=True,
            force_col_wise=True,
            verbose=-1,
        )
        if validation is None:
            return model.fit(X, y, sample_weight=weight)
        train = ~validation
        stop = lightgbm.early_stopping(self._patience(y), verbose=False)
        return model.fit(
            X[train],
            y[train],
            sample_weight=None if weight is None else weight[train],
            eval_X=X[validation],
            eval_y=y[validation],
            eval_sample_weight=None if weight is None else [weight[validation]],
            callbacks=[stop],
        )

    def _step(self, y: npt.NDArray[Any]) -> float:
        if self.learning_rate is not None:
            return self.learning_rate
        return 0.1 if self._is_classifier() and int(y.max()) > 1 else 0.03

    def _patience(self, y: npt.NDArray[Any]) -> int:
        if self.n_iter_no_change is not None:
            return self.n_iter_no_change
        return 50 if self._step(y) < 0.05 else 20

    def _column_share(self, width: int) -> float:
        columns = min(max(self.max_features * width, _FEWEST_COLUMNS), _MOST_COLUMNS)
        return min(1.0, columns / max(1, width))

    def _inner_part(self, y: npt.NDArray[Any], seed: int) -> BoolArray | None:
        n_held = max(1, round(0.15 * len(y)))
        if len(y) < 40:
            return None
        splitter: Any = ShuffleSplit(1, test_size=n_held, random_state=seed % (2**31 - 1))
        counts = np.bincount(y) if self._is_classifier() else np.array([len(y)])
        if self._is_classifier() and counts[counts > 0].min() >= 2 and n_held >= len(counts):
            splitter = StratifiedShuffleSplit(1, test_size=n_held, random_state=seed % (2**31 - 1))
        flags = np.zeros(len(y), dtype=bool)
        flags[next(splitter.split(np.zeros((len(y), 1)), y))[1]] = True
        return flags

    def _usable(self, y: npt.NDArray[Any], validation: BoolArray) -> bool:
        if not validation.any() or (~validation).sum() < 2:
            return False
        if not self._is_classifier():
            return True
        # A class that only the inner part holds cannot be scored by what the rest taught.
        return set(y[validation]) <= set(y[~validation]) and len(set(y)) == len(set(y[~validation]))

    def _is_classifier(self) -> bool:
        return isinstance(self, ClassifierMixin)

    def _encode(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        raise NotImplementedError


class BoostedTreesClassifier(ClassifierMixin, _BoostedTrees):
    """Gradient boosted trees for classes, by log loss."""

    @property
    def _objective(self) -> Any:
        from lightgbm import LGBMClassifier

        return LGBMClassifier

    def _encode(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        self.classes_, codes = np.unique(np.asarray(y), return_inverse=True)
        return codes

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return class probabilities (n_samples, n_classes)."""
        X = np.asarray(X, dtype=float)
        if len(self.classes_) == 1:
            return np.ones((len(X), 1))
        total = np.zeros((len(X), len(self.classes_)))
        for model, trees in self.models_:
            total += self._proba(model.booster_.predict(X, num_iteration=trees, num_threads=1))
        return total / len(self.models_)

    def _proba(self, raw: FloatArray) -> FloatArray:
        # LightGBM gives one column for two classes.
        return np.column_stack([1 - raw, raw]) if len(self.classes_) == 2 else raw

    def predict(self, X: FloatArray) -> npt.NDArray[Any]:
        """Return the most probable class (n_samples,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class BoostedTreesRegressor(RegressorMixin, _BoostedTrees):
    """Gradient boosted trees for an amount, by squared error."""

    @property
    def _objective(self) -> Any:
        from lightgbm import LGBMRegressor

        return LGBMRegressor

    def _encode(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        # LightGBM keeps targets in single precision: far from zero their differences would go.
        amounts = np.asarray(y, dtype=float)
        self.centre_ = float(amounts.mean())
        return amounts - self.centre_

    def predict(self, X: FloatArray) -> FloatArray:
        """Return the expected amount (n_samples,)."""
        X = np.asarray(X, dtype=float)
        total = np.zeros(len(X))
        for model, trees in self.models_:
            total += model.booster_.predict(X, num_iteration=trees, num_threads=1)
        return self.centre_ + total / len(self.models_)
