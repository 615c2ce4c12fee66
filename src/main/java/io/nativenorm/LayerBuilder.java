package io.nativenorm;

import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The options that all layers share.
 *
 * @param <B> the builder itself, for chained calls
 */
public abstract sealed class LayerBuilder<B extends LayerBuilder<B>>
    permits RowBuilder, GroupNorm.Builder, RunningBuilder {
  /** Name and shape of the layer, for messages. */
  private final String name;

  private double eps;
  private boolean affine;

  /** Null until it is said, which makes it as affine says. */
  private @Nullable Boolean bias;

  /** A caller's memory; null for the layer's own. */
  private @Nullable Tensor sharedWeight;

  private @Nullable Tensor sharedBias;

  private Backend backend = defaultBackend();
  private int threads;
  private @Nullable String threadsOf;
  private Activation activation = Activation.NONE;

  LayerBuilder(String name, double eps, boolean affine) {
    this.name = name;
    this.eps = eps;
    this.affine = affine;
  }

  static Backend defaultBackend() {
    String wanted = System.getProperty("nativenorm.backend", "auto");
    try {
      return Backend.valueOf(wanted.strip().toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "nativenorm.backend expects auto, fused, onednn or java, but got " + wanted);
    }
  }

  abstract B self();

  /**
   * Makes the layer.
   *
   * @return a layer with weight 1 and bias 0, to be closed by the caller
   */
  public abstract NormLayer build();

  /**
   * What is added to the variance inside the root. Default 1e-5; RmsNorm 2^-23.
   *
   * @param value 0 or more
   * @return this
   * @throws IllegalArgumentException if it is negative or not finite
   */
  public B eps(double value) {
    requireEps(name, value);
    eps = value;
    return self();
  }

  static void requireEps(String name, double value) {
    if (!(value >= 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(
          name + ": eps must be non-negative and finite, but got " + value);
    }
  }

  /**
   * Whether there are a learned weight and bias. Default true; InstanceNorm false. What {@link
   * #bias} says of the bias comes first, before or after this.
   *
   * @param value false for neither
   * @return this
   */
  public B affine(boolean value) {
    affine = value;
    return self();
  }

  /**
   * Whether there is a bias, whatever {@link #affine} says, which says of the weight. Default as
   * affine; RmsNorm has none.
   *
   * @param value false for the weight alone, true for a bias with a weight or, beside {@code
   *     affine(false)}, alone
   * @return this
   */
  public B bias(boolean value) {
    bias = value;
    sharedBias = null;
    return self();
  }

  /**
   * A weight that is there, in place of one of the layer's own: it is not copied, and what is
   * written to the tensor is used by the next call. The layer holds the memory from {@link #build}
   * on, and the tensor may be closed then; closing the layer leaves the memory as it is. Memory
   * that ends by itself, as an arena's does, ends the layer: its calls throw {@link
   * IllegalStateException}.
   *
   * <pre>{@code
   * Tensor weight = Tensor.wrap(mapped, DataType.F32, Layout.CHANNELS_FIRST, 4096);
   * try (RmsNorm shares = RmsNorm.builder(4096).weight(weight).build()) {
   *   weight.close();                                         // the layer keeps the memory
   * }
   * }</pre>
   *
   * <p>There is a weight then, whatever {@link #affine} says. On read-only memory {@link
   * NormLayer#load} is refused.
   *
   * @param shared an F32 tensor of the weight's shape, but for extents of 1: (C) or (1, C, 1, 1);
   *     {@link #build} throws {@link IllegalArgumentException} for another one, since weights of
   *     other types are not computed with in this version, and {@link IllegalStateException} if it
   *     is closed
   * @return this
   */
  public B weight(Tensor shared) {
    sharedWeight = Objects.requireNonNull(shared, "shared");
    return self();
  }

  /**
   * A bias that is there, in place of one of the layer's own: as {@link #weight(Tensor)}. The last
   * call of this and {@link #bias(boolean)} counts.
   *
   * @param shared an F32 tensor of the bias's shape, but for extents of 1
   * @return this
   */
  public B bias(Tensor shared) {
    sharedBias = Objects.requireNonNull(shared, "shared");
    bias = true;
    return self();
  }

  /**
   * The engine. Default AUTO, or the system property {@code nativenorm.backend}.
   *
   * @param backend AUTO, or the one engine to use
   * @return this
   */
  public B backend(Backend backend) {
    this.backend = Objects.requireNonNull(backend, "backend");
    return self();
  }

  /**
   * How many threads may work on one call. Default {@link NativeNorm#threads()}.
   *
   * @param value 1 or more
   * @return this
   * @throws IllegalArgumentException if it is less than 1
   */
  public B threads(int value) {
    threads = NativeNorm.requireThreads(value);
    return self();
  }

  /**
   * Whose threads work on large calls: the OpenMP threads that another library of the process has
   * for the thread that calls, in place of NativeNorm's own. Between that library's operators these
   * are awake already, keep others from their processors, and have in their caches the rows that
   * they have just made: in a model on DJL's PyTorch, on two processors, LayerNorm of 128 x 768
   * takes 13 us on them, 18 on the caller's thread alone, and 19 as PyTorch's operator.
   *
   * <pre>{@code
   * try (LayerNorm norm = LayerNorm.builder(768).threadsOf("libtorch_cpu.so").build();
   *     Tensor x = Tensor.zeros(128, 768)) {
   *   System.out.println(norm.explain(x));
   * }
   * }</pre>
   *
   * <p>On {@link Backend#FUSED}, of a library on Linux whose OpenMP has the interface of GNU's:
   * {@link NormLayer#explain} then says "openmp" behind the kernel. Elsewhere, and if it is not
   * loaded when a layer first gets an input of a shape, large calls run on NativeNorm's own
   * threads, but those of fewer than 2^18 elements on their caller's, since ours come late where
   * others spin. Results are the same bits.
   *
   * <p>OpenMP starts threads for each of its callers: a layer should be called where the library is
   * called too.
   *
   * @param library the file's name or path, as it was loaded: itself linked with OpenMP, or
   *     OpenMP's own
   * @return this
   */
  public B threadsOf(String library) {
    threadsOf = Objects.requireNonNull(library, "library");
    return self();
  }

  /**
   * What is applied to the result, and accounted for in backward. Default NONE.
   *
   * @param activation the activation
   * @return this
   */
  public B activation(Activation activation) {
    this.activation = Objects.requireNonNull(activation, "activation");
    return self();
  }

  /** The layer's kind and size. */
  @Override
  public String toString() {
    return name;
  }

  String name() {
    return name;
  }

  double eps() {
    return eps;
  }

  /** What is added to the weight; of rows only. */
  double unitOffset() {
    return 0;
  }

  boolean hasWeight() {
    return affine || sharedWeight != null;
  }

  /** Null for one of the layer's own. */
  @Nullable Tensor sharedWeight() {
    return sharedWeight;
  }

  /** Likewise. */
  @Nullable Tensor sharedBias() {
    return sharedBias;
  }

  boolean hasBias() {
    return bias == null ? affine : bias;
  }

  Backend backend() {
    return backend;
  }

  /** 0 for the process's default. */
  int threads() {
    return threads;
  }

  /** Null for NativeNorm's own. */
  @Nullable String threadsOf() {
    return threadsOf;
  }

  Activation activation() {
    return activation;
  }
}
