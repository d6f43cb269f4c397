"""The built-in Keras classes a file may name; whatever is not listed here is refused.

Only classes whose ``from_config`` builds from plain numbers, words and other listed classes stand here. Absent on
purpose: Lambda (code), TFSMLayer, JaxLayer, FlaxLayer, TorchModuleWrapper (foreign code) and every operation that takes
a function. StringLookup, IntegerLookup and TextVectorization may hold their words, never the name of a file with them.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYERS = _words(
    """
    InputLayer Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D
    AdaptiveMaxPooling2D AdaptiveMaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D
    BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate Conv1D Conv1DTranspose Conv2D
    Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D
    Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding Flatten GRU
    GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention Hashing Identity
    IntegerLookup
    LSTM LSTMCell LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum
    MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization RNN RandomBrightness RandomContrast
    RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom ReLU RepeatVector Rescaling Reshape
    Resizing SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D
    SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup Subtract TextVectorization TimeDistributed
    UnitNormalization
    UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    """
)
INITIALIZERS = _words(
    """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform
    Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
    """
)
REGULARIZERS = _words(
    """
    L1 L1L2 L2 OrthogonalRegularizer
    """
)
CONSTRAINTS = _words(
    """
    MaxNorm MinMaxNorm NonNeg UnitNorm
    """
)
OPTIMIZERS = _words(
    """
    Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer Nadam RMSprop SGD
    """
)
SCHEDULES = _words(
    """
    CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay
    """
)
LOSSES = _words(
    """
    BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy CategoricalFocalCrossentropy
    CategoricalHinge CosineSimilarity Hinge Huber KLDivergence LogCosh MeanAbsoluteError
    MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    SparseCategoricalCrossentropy SquaredHinge
    """
)
METRICS = _words(
    """
    AUC Accuracy BinaryAccuracy BinaryCrossentropy CategoricalAccuracy CategoricalCrossentropy CategoricalHinge
    CosineSimilarity F1Score FBetaScore FalseNegatives FalsePositives Hinge KLDivergence LogCoshError
    MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson Precision
    PrecisionAtRecall R2Score Recall RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity
    SparseCategoricalAccuracy SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy
    SpecificityAtSensitivity SquaredHinge TopKCategoricalAccuracy TrueNegatives TruePositives
    """
)
NUMPY_OPERATIONS = _words(
    """
    Abs Absolute Add Amax Amin Average BroadcastTo Ceil Clip Concatenate Cos Cosh Cumsum Diff Divide Dot Einsum
    Equal Exp ExpandDims Expm1 Flip Floor FloorDivide GetItem Greater GreaterEqual Less LessEqual Log Log10
    Log1p Log2 LogicalAnd LogicalNot LogicalOr Matmul Max Maximum Mean Median Min Minimum Mod Moveaxis Multiply
    Negative NotEqual OnesLike Pad Power Prod Reciprocal Repeat Reshape Roll Round Sign Sin Sinh Sqrt Square
    Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh Tile Transpose Tril Triu TrueDivide Var
    Where ZerosLike
    """
)
NN_OPERATIONS = _words(
    """
    Celu Elu Gelu Glu HardSigmoid HardSilu HardTanh LeakyRelu LogSigmoid LogSoftmax Normalize OneHot Relu Relu6
    Selu Sigmoid Silu Softmax Softplus Softsign
    """
)
# activations, losses and metrics that a file may name by a word
FUNCTIONS = _words(
    """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus
    sparsemax squareplus swish tanh tanh_shrink threshold binary_crossentropy binary_focal_crossentropy
    categorical_crossentropy categorical_focal_crossentropy categorical_hinge cosine_similarity hinge huber
    kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error
    mean_squared_logarithmic_error poisson sparse_categorical_crossentropy squared_hinge mse mae mape msle kld
    bce BCE MSE MAE MAPE MSLE KLD logcosh kullback_leibler_divergence accuracy acc crossentropy ce
    binary_accuracy categorical_accuracy sparse_categorical_accuracy sparse_top_k_categorical_accuracy
    top_k_categorical_accuracy auc AUC
    """
)
# Keras 2 wrote some classes under a name that Keras 3 keeps only as an alias.
RENAMED = {
    "Model": "Functional",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "LSTMV2": "LSTM",
    "GRUV2": "GRU",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "GlorotUniformV2": "GlorotUniform",
    "L1L2V2": "L1L2",
}
MODELS = {
    "Sequential": "keras",
    "Functional": "keras.src.models.functional",
}
KINDS: dict[str, tuple[str, frozenset[str]]] = {  # kind -> (module the class is taken from, names)
    "layer": ("keras.layers", LAYERS),
    "initializer": ("keras.initializers", INITIALIZERS),
    "regularizer": ("keras.regularizers", REGULARIZERS),
    "constraint": ("keras.constraints", CONSTRAINTS),
    "optimizer": ("keras.optimizers", OPTIMIZERS),
    "schedule": ("keras.optimizers.schedules", SCHEDULES),
    "loss": ("keras.losses", LOSSES),
    "metric": ("keras.metrics", METRICS),
    "numpy operation": ("keras.src.ops.numpy", NUMPY_OPERATIONS),
    "nn operation": ("keras.src.ops.nn", NN_OPERATIONS),
}
