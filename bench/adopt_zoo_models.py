"""The models of bench/adopt_zoo.py: data sets, builders, and how each framework alone answers from its file."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PORTS = {"S": 0.0, "C": 0.9, "Q": -0.6}
WORDS = {
    "refund": ("money", "back", "invoice", "charged", "twice", "card", "payment", "bill"),
    "delivery": ("parcel", "late", "courier", "address", "tracking", "box", "lost"),
    "login": ("password", "account", "reset", "code", "email", "locked", "sign"),
}
FILLER = ("please", "hello", "the", "a", "my", "I", "is", "was", "and", "still", "not", "since", "order", "help")


@dataclass(frozen=True)
class Data:
    reference: pd.DataFrame
    new: pd.DataFrame
    later: pd.DataFrame
    target: str
    classes: bool


@dataclass(frozen=True)
class Zoo:
    """One model: which rows, how its file is written, how its framework alone answers from the file."""

    name: str
    data: str
    suffix: str
    write: Callable[[pd.DataFrame, pd.Series, Path], None]
    answer: Callable[[Path, pd.DataFrame], Any]
    inputs: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    saved_suffix: str = ""


@functools.lru_cache
def make_data(name: str) -> Data:
    makers = {"mixed": make_mixed, "texts": make_texts}
    make = makers.get(name, functools.partial(make_numbers, kind=name))
    reference, new, later = (make(n, seed) for n, seed in ((1000, 1), (700, 2), (300, 3)))
    target = {"texts": "topic", "mixed": "survived"}.get(name, "y")
    return Data(reference, new, later, target, name not in ("values", "counts", "prices"))


def make_numbers(n: int, seed: int, kind: str) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 4))
    score = 1.5 * x[:, 0] - x[:, 1] + 0.7 * x[:, 2] * (x[:, 0] > 0) + 0.4 * random.normal(size=n)
    y: Any = score
    if kind == "binary":
        y = (score > 0).astype(int)
    elif kind == "words":
        y = np.asarray(["low", "medium", "high"])[np.digitize(score, [-1.0, 1.0])]
    elif kind == "three":
        y = np.digitize(score, [-1.0, 1.0])
    elif kind == "counts":
        y = random.poisson(np.exp(0.5 * x[:, 0] + 1.0))
    elif kind == "prices":
        y = np.exp(4 + 0.3 * score)
    return pd.DataFrame(x, columns=list("abcd")).assign(y=y)


def make_mixed(n: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "age": random.integers(18, 90, n).astype(float),
            "siblings": random.integers(0, 5, n),
            "port": random.choice(list(PORTS), n),
            "sex": random.choice(["male", "female"], n),
            "alone": random.random(n) < 0.4,
        }
    )
    score = 1.6 * (rows.sex == "female") - 0.03 * (rows.age - 50) - 0.3 * rows.siblings + rows.port.map(PORTS)
    rows["survived"] = (score + 0.8 * random.normal(size=n) > 0).astype(int)
    rows.loc[random.random(n) < 0.1, "age"] = np.nan
    return rows


def make_texts(n: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    topics = random.choice(list(WORDS), n)
    texts = [" ".join([*random.choice(WORDS[t], 2), *random.choice(FILLER, 6)]) for t in topics]
    return pd.DataFrame({"message": texts, "length": [len(t) for t in texts], "topic": topics})


def as_categories(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype({"port": pd.CategoricalDtype(["S", "Q", "C"]), "sex": pd.CategoricalDtype(["male", "female"])})


# -- scikit-learn ------------------------------------------------------------------------------------------------------
def sklearn_model(name: str, data: str, make: Callable[[], Any], suffix: str = ".skops", **more: Any) -> Zoo:
    prepare = more.pop("prepare", lambda rows: rows)

    def write(x: pd.DataFrame, y: pd.Series, to: Path) -> None:
        given = x["message"] if more.get("inputs") == ("message",) else prepare(x)
        write_object(make().fit(given, y), to)

    def answer(file: Path, x: pd.DataFrame) -> Any:
        given = x["message"] if more.get("inputs") == ("message",) else prepare(x)
        return ask(read_object(file), given)

    return Zoo(name, data, suffix, write, answer, saved_suffix=".skops", **more)


def write_object(model: Any, to: Path) -> None:
    import joblib
    import skops.io

    if to.suffix == ".skops":
        skops.io.dump(model, to)
    elif to.suffix in (".pkl", ".pickle"):
        to.write_bytes(pickle.dumps(model))
    else:
        joblib.dump(model, to)


def read_object(file: Path) -> Any:
    import joblib
    import skops.io

    if file.suffix == ".skops":
        return skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
    return joblib.load(file)


def ask(model: Any, x: Any) -> Any:
    return model.predict_proba(x) if hasattr(model, "classes_") else model.predict(x)


def list_sklearn() -> list[Zoo]:
    from lightgbm import LGBMClassifier
    from sklearn import ensemble, linear_model, naive_bayes, neighbors, neural_network, svm, tree
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
    from sklearn.feature_selection import SelectKBest, f_classif
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, RandomizedSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PolynomialFeatures, StandardScaler, TargetEncoder
    from xgboost import XGBClassifier

    numbers, words = make_column_selector(dtype_include=np.number), make_column_selector(dtype_exclude=np.number)
    logistic = functools.partial(linear_model.LogisticRegression, max_iter=500)

    def front(encoder: Any = None) -> Any:
        encoder = OneHotEncoder(handle_unknown="ignore") if encoder is None else encoder
        return ColumnTransformer([("n", SimpleImputer(), numbers), ("c", encoder, words)])

    def by_names() -> Any:
        scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        filled = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(drop="if_binary"))
        return ColumnTransformer([("n", scaled, ["age", "siblings"]), ("c", filled, ["port", "sex"])])

    codes = functools.partial(OrdinalEncoder, handle_unknown="use_encoded_value", unknown_value=-1)
    search = functools.partial(GridSearchCV, param_grid={"logisticregression__C": [0.1, 1.0]}, cv=3)
    text_front = [("t", TfidfVectorizer(), "message"), ("n", StandardScaler(), ["length"])]
    message = {"inputs": ("message",)}
    made: list[tuple[Any, ...]] = [
        ("logistic regression", "binary", logistic),
        ("random forest, words", "words", lambda: ensemble.RandomForestClassifier(30, max_depth=6, random_state=0)),
        ("extra trees", "three", lambda: ensemble.ExtraTreesClassifier(30, max_depth=6, random_state=0)),
        ("gradient boosting", "binary", lambda: ensemble.GradientBoostingClassifier(n_estimators=30, random_state=0)),
        ("histogram boosting", "words", lambda: ensemble.HistGradientBoostingClassifier(max_iter=30, random_state=0)),
        ("decision tree", "binary", lambda: tree.DecisionTreeClassifier(max_depth=4, random_state=0)),
        ("AdaBoost", "binary", lambda: ensemble.AdaBoostClassifier(n_estimators=20, random_state=0)),
        ("bagging", "binary", lambda: ensemble.BaggingClassifier(n_estimators=10, random_state=0)),
        ("network", "words", lambda: neural_network.MLPClassifier((16,), max_iter=300, random_state=0)),
        ("nearest neighbours", "binary", lambda: neighbors.KNeighborsClassifier(15)),
        ("naive Bayes", "three", naive_bayes.GaussianNB),
        ("discriminant", "words", LinearDiscriminantAnalysis),
        ("calibrated SVM", "binary", lambda: CalibratedClassifierCV(svm.SVC(), cv=3)),
        (
            "voting",
            "binary",
            lambda: ensemble.VotingClassifier([("a", logistic()), ("b", naive_bayes.GaussianNB())], voting="soft"),
        ),
        (
            "stacking",
            "binary",
            lambda: ensemble.StackingClassifier([("a", logistic()), ("b", naive_bayes.GaussianNB())], cv=3),
        ),
        (
            "scaled, selected, polynomial",
            "binary",
            lambda: make_pipeline(StandardScaler(), PolynomialFeatures(), SelectKBest(f_classif, k=8), logistic()),
        ),
        ("ridge", "values", linear_model.Ridge),
        ("lasso", "values", lambda: linear_model.Lasso(alpha=0.01)),
        ("forest regression", "values", lambda: ensemble.RandomForestRegressor(30, max_depth=6, random_state=0)),
        ("histogram regression", "values", lambda: ensemble.HistGradientBoostingRegressor(max_iter=40, random_state=0)),
        ("support vector regression", "values", svm.SVR),
        ("Poisson regression", "counts", linear_model.PoissonRegressor),
        (
            "logarithm of the target",
            "prices",
            lambda: TransformedTargetRegressor(linear_model.Ridge(), func=np.log, inverse_func=np.exp),
        ),
        ("Gaussian process", "values", lambda: GaussianProcessRegressor(alpha=0.3)),
    ]
    piped: list[tuple[Any, ...]] = [
        ("pipeline by names", "mixed", lambda: make_pipeline(by_names(), logistic()), ".joblib"),
        (
            "pipeline by selectors",
            "mixed",
            lambda: make_pipeline(front(), ensemble.RandomForestClassifier(30, random_state=0)),
            ".pkl",
        ),
        (
            "pipeline of codes",
            "mixed",
            lambda: make_pipeline(front(codes()), ensemble.HistGradientBoostingClassifier(max_iter=30)),
            ".pickle",
        ),
        ("pipeline, strict encoder", "mixed", lambda: make_pipeline(front(OneHotEncoder()), logistic()), ".skops"),
        (
            "pipeline, target encoder",
            "mixed",
            lambda: make_pipeline(front(TargetEncoder(random_state=0)), logistic()),
            ".joblib",
        ),
        (
            "pipeline with XGBoost",
            "mixed",
            lambda: make_pipeline(front(), XGBClassifier(n_estimators=20, n_jobs=1)),
            ".joblib",
        ),
        (
            "pipeline with LightGBM",
            "mixed",
            lambda: make_pipeline(front(), LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1)),
            ".pkl",
        ),
        ("grid search", "mixed", lambda: search(make_pipeline(front(), logistic())), ".sav"),
        (
            "random search",
            "mixed",
            lambda: RandomizedSearchCV(
                make_pipeline(front(), logistic()),
                {"logisticregression__C": [0.1, 1.0]},
                n_iter=2,
                cv=3,
                random_state=0,
            ),
            ".joblib",
        ),
        (
            "calibrated pipeline",
            "mixed",
            lambda: CalibratedClassifierCV(make_pipeline(front(), naive_bayes.GaussianNB()), cv=3),
            ".joblib",
        ),
        (
            "threshold of a pipeline",
            "mixed",
            lambda: FixedThresholdClassifier(make_pipeline(front(), logistic()), threshold=0.3),
            ".joblib",
        ),
    ]
    texts: list[tuple[Any, ...]] = [
        ("TF-IDF and logistic regression", lambda: make_pipeline(TfidfVectorizer(), logistic()), ".joblib"),
        (
            "counts and naive Bayes",
            lambda: make_pipeline(CountVectorizer(binary=True), naive_bayes.MultinomialNB()),
            ".pkl",
        ),
        (
            "TF-IDF of letters",
            lambda: make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)), logistic()),
            ".skops",
        ),
        (
            "hashed words",
            lambda: make_pipeline(
                HashingVectorizer(n_features=512), linear_model.SGDClassifier(loss="log_loss", random_state=0)
            ),
            ".joblib",
        ),
    ]
    return [
        *(sklearn_model(f"sklearn: {name}", data, make) for name, data, make in made),
        *(sklearn_model(f"sklearn: {name}", data, make, suffix) for name, data, make, suffix in piped),
        sklearn_model(
            "sklearn: histogram boosting by dtype",
            "mixed",
            lambda: ensemble.HistGradientBoostingClassifier(max_iter=30, random_state=0),
            ".joblib",
            prepare=as_categories,
        ),
        *(sklearn_model(f"sklearn: {name}", "texts", make, suffix, **message) for name, make, suffix in texts),
        sklearn_model(
            "sklearn: texts beside numbers",
            "texts",
            lambda: make_pipeline(ColumnTransformer(text_front), logistic()),
            ".joblib",
            inputs=("message", "length"),
        ),
        list_parts_model(TfidfVectorizer, logistic),
    ]


def list_parts_model(vectorizer: Callable[[], Any], classifier: Callable[[], Any]) -> Zoo:
    """A dict of a vectorizer and a model, as many notebooks pickle them."""

    def write(x: pd.DataFrame, y: pd.Series, to: Path) -> None:
        fitted = vectorizer().fit(x.message)
        write_object({"vectorizer": fitted, "model": classifier().fit(fitted.transform(x.message), y)}, to)

    def answer(file: Path, x: pd.DataFrame) -> Any:
        parts = read_object(file)
        if not isinstance(parts, dict):  # saved back: one pipeline
            return parts.predict_proba(x.message)
        return parts["model"].predict_proba(parts["vectorizer"].transform(x.message))

    options = {"object_path": "vectorizer,model"}
    return Zoo("sklearn: dict of two parts", "texts", ".pkl", write, answer, ("message",), options, ".skops")


# -- boosters ----------------------------------------------------------------------------------------------------------
def lightgbm_model(name: str, data: str, *, categories: bool = False, **settings: Any) -> Zoo:
    def write(x: pd.DataFrame, y: pd.Series, to: Path) -> None:
        import lightgbm

        rows = lightgbm.Dataset(as_categories(x) if categories else x, y)
        parameters = {"verbose": -1, "num_threads": 1, "deterministic": True, "num_leaves": 15} | settings
        lightgbm.train(parameters, rows, 40).save_model(to)

    def answer(file: Path, x: pd.DataFrame) -> Any:
        import lightgbm

        return lightgbm.Booster(model_file=str(file)).predict(as_categories(x) if categories else x)

    return Zoo(f"lightgbm: {name}", data, ".txt", write, answer)


def xgboost_model(name: str, data: str, suffix: str, **settings: Any) -> Zoo:
    def write(x: pd.DataFrame, y: pd.Series, to: Path) -> None:
        import xgboost

        parameters = {"max_depth": 4, "nthread": 1} | settings
        xgboost.train(parameters, xgboost.DMatrix(x, y), 40).save_model(to)

    def answer(file: Path, x: pd.DataFrame) -> Any:
        import xgboost

        return xgboost.Booster(model_file=str(file)).predict(xgboost.DMatrix(x))

    return Zoo(f"xgboost: {name}", data, suffix, write, answer)


def xgboost_pickle() -> Zoo:
    def write(x: pd.DataFrame, y: pd.Series, to: Path) -> None:
        import joblib
        from xgboost import XGBClassifier

        joblib.dump(XGBClassifier(n_estimators=30, max_depth=4, n_jobs=1).fit(x, y), to)

    def answer(file: Path, x: pd.DataFrame) -> Any:
        import joblib
        import xgboost

        if file.suffix == ".ubj":
            return xgboost.Booster(model_file=str(file)).predict(xgboost.DMatrix(x))
        return joblib.load(file).predict_proba(x)

    return Zoo("xgboost: pickled XGBClassifier", "binary", ".sav", write, answer, saved_suffix=".ubj")


def catboost_model(name: str, data: str, suffix: str, *, categories: tuple[str, ...] = (), **settings: Any) -> Zoo:
    def spell(x: pd.DataFrame) -> pd.DataFrame:
        return x.assign(**{name: x[name].astype(str) for name in categories})

    def write(x: pd.DataFrame, y: pd.Series, to: Path) -> None:
        import catboost

        parameters = {"iterations": 40, "depth": 4, "thread_count": 1, "allow_writing_files": False} | settings
        pool = catboost.Pool(spell(x), y, cat_features=list(categories))
        catboost.CatBoost({**parameters, "verbose": 0}).fit(pool).save_model(str(to), format=suffix[1:])

    def answer(file: Path, x: pd.DataFrame) -> Any:
        import catboost

        model = catboost.CatBoost().load_model(str(file), format=suffix[1:])
        loss = model.get_all_params()["loss_function"]
        kind = {"RMSE": "RawFormulaVal", "Poisson": "Exponent"}.get(loss, "Probability")
        return model.predict(spell(x), prediction_type=kind)

    return Zoo(f"catboost: {name}", data, suffix, write, answer)


def list_boosters() -> list[Zoo]:
    several = {"objective": "multiclass", "num_class": 3}
    return [
        lightgbm_model("binary", "binary", objective="binary"),
        lightgbm_model("three classes", "three", **several),
        lightgbm_model("regression", "values", objective="regression"),
        lightgbm_model("Poisson", "counts", objective="poisson"),
        lightgbm_model("categories of pandas", "mixed", categories=True, objective="binary"),
        lightgbm_model("dart", "binary", objective="binary", boosting="dart"),
        xgboost_model("binary", "binary", ".ubj", objective="binary:logistic"),
        xgboost_model("three classes", "three", ".json", objective="multi:softprob", num_class=3),
        xgboost_model("regression", "values", ".ubj", objective="reg:squarederror"),
        xgboost_model("Poisson", "counts", ".json", objective="count:poisson"),
        xgboost_pickle(),
        catboost_model("binary", "binary", ".cbm", loss_function="Logloss"),
        catboost_model("three classes", "words", ".cbm", loss_function="MultiClass"),
        catboost_model("regression", "values", ".json", loss_function="RMSE"),
        catboost_model("Poisson", "counts", ".cbm", loss_function="Poisson"),
        catboost_model(
            "categories by name", "mixed", ".cbm", categories=("port", "sex", "siblings"), loss_function="Logloss"
        ),
    ]


# -- networks ----------------------------------------------------------------------------------------------------------
def keras_model(name: str, data: str, suffix: str, last: tuple[int, str | None], loss: str) -> Zoo:
    def write(x: pd.DataFrame, y: pd.Series, to: Path) -> None:
        import keras

        keras.utils.set_random_seed(0)
        layers = keras.layers
        network = keras.Sequential(
            [layers.Input((x.shape[1],)), layers.Dense(16, "relu"), layers.Dense(last[0], last[1])]
        )
        network.compile(keras.optimizers.Adam(0.01), loss)
        network.fit(x.to_numpy("float32"), y.to_numpy(), epochs=15, verbose=0)
        network.save(to)

    def answer(file: Path, x: pd.DataFrame) -> Any:
        import keras

        given = keras.models.load_model(file, compile=False).predict(x.to_numpy("float32"), verbose=0)
        return given[:, 0] if given.shape[1] == 1 else given

    return Zoo(f"keras: {name}", data, suffix, write, answer)


def torch_model(name: str, data: str, width: int, loss: str) -> Zoo:
    def write(x: pd.DataFrame, y: pd.Series, to: Path) -> None:
        import torch

        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 16), torch.nn.ReLU(), torch.nn.Linear(16, width))
        given = torch.tensor(x.to_numpy("float32"))
        wanted = torch.tensor(y.to_numpy(), dtype=torch.long if width > 1 else torch.float32)
        optimizer, measure = torch.optim.Adam(network.parameters(), 0.02), getattr(torch.nn.functional, loss)
        for _ in range(150):
            optimizer.zero_grad()
            answers = network(given)
            measure(answers if width > 1 else answers[:, 0], wanted).backward()
            optimizer.step()
        shape = ({0: torch.export.Dim("rows")},)
        torch.export.save(torch.export.export(network.eval(), (given[:2],), dynamic_shapes=shape), to)

    def answer(file: Path, x: pd.DataFrame) -> Any:
        import torch

        raw = torch.export.load(file).module()(torch.tensor(x.to_numpy("float32")))
        if loss == "mse_loss":
            return raw[:, 0].detach().numpy()
        return (torch.sigmoid(raw)[:, 0] if width == 1 else torch.softmax(raw, 1)).detach().numpy()

    return Zoo(f"torch: {name}", data, ".pt2", write, answer)


def list_networks() -> list[Zoo]:
    return [
        keras_model("binary", "binary", ".keras", (1, "sigmoid"), "binary_crossentropy"),
        keras_model("binary, HDF5", "binary", ".h5", (1, "sigmoid"), "binary_crossentropy"),
        keras_model("three classes", "three", ".keras", (3, "softmax"), "sparse_categorical_crossentropy"),
        keras_model("regression", "values", ".keras", (1, None), "mse"),
        keras_model("counts", "counts", ".h5", (1, "exponential"), "poisson"),
        torch_model("binary", "binary", 1, "binary_cross_entropy_with_logits"),
        torch_model("three classes", "three", 3, "cross_entropy"),
        torch_model("regression", "values", 1, "mse_loss"),
    ]


def read_plainly(file: Path, zoo: Zoo, rows: pd.DataFrame) -> Any:
    """What the framework alone answers from the file that was saved."""
    return zoo.answer(file, rows)


MODELS = [*list_sklearn(), *list_boosters(), *list_networks()]
