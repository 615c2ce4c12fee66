package io.nativenorm;

import io.nativenorm.engine.Storage;
import java.lang.reflect.Executable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.FloatPointer;

/**
 * The objects that random calls are made on: open and closed, fresh and used. What leaves the lists
 * is closed, so that memory stays bounded.
 */
final class CallSubjects implements AutoCloseable {
  private static final int KEPT = 12;

  /** A training pass, and what its gradients depend on as it was at the time. */
  record Trained(
      LayerSpec spec,
      NormLayer layer,
      Tensor input,
      float[] x,
      float[] y,
      float[] statistics,
      float[][] running) {

    long[] shape() {
      return input.shape();
    }

    /** Null where the layer has none; a closed tensor still has a shape. */
    long[] weightShape() {
      return layer.weight() == null ? null : layer.weight().shape();
    }

    long[] biasShape() {
      return layer.bias() == null ? null : layer.bias().shape();
    }

    /** Whether the layer or the pass is closed, as its output shows. */
    boolean isClosed(Pass pass) {
      return CallSubjects.isClosed(layer) || pass.output().isClosed();
    }

    /** Whether nothing was written to the input, the output and the statistics since. */
    boolean isUnchanged(Pass pass) {
      return !input.isClosed()
          && !pass.output().isClosed()
          && Arrays.equals(x, inOrder(input))
          && Arrays.equals(y, pass.output().toArray())
          && !pass.variance().isClosed()
          && (pass.mean() == null || !pass.mean().isClosed())
          && Arrays.equals(statistics, statisticsOf(pass));
    }
  }

  /** Mean and variance, live as the output is; nothing of one that a call has closed. */
  private static float[] statisticsOf(Pass pass) {
    float[] mean = valuesOf(pass.mean());
    float[] variance = valuesOf(pass.variance());
    float[] both = Arrays.copyOf(mean, mean.length + variance.length);
    System.arraycopy(variance, 0, both, mean.length, variance.length);
    return both;
  }

  private static float[] valuesOf(Tensor handle) {
    return handle == null || handle.isClosed() ? new float[0] : handle.toArray();
  }

  final Random random;
  private final Map<Class<?>, List<Object>> kept = new LinkedHashMap<>();
  final Map<NormLayer, LayerSpec> layers = new IdentityHashMap<>();
  final Map<LayerBuilder<?>, LayerSpec> builders = new IdentityHashMap<>();
  final Map<Pass, Trained> passes = new IdentityHashMap<>();

  private final List<FloatPointer> pointers = new ArrayList<>();

  private Path file;

  private Path newFile;

  CallSubjects(Random random) {
    this.random = random;
  }

  /** A tensor's elements in its shape's order. */
  static float[] inOrder(Tensor tensor) {
    try (Tensor ordered = tensor.in(Layout.CHANNELS_FIRST)) {
      return ordered.toArray();
    }
  }

  /** One of the kept objects of a class, or null if there is none. */
  <T> T any(Class<T> type) {
    List<Object> objects = kept.getOrDefault(listOf(type), List.of());
    List<T> fitting = objects.stream().filter(type::isInstance).map(type::cast).toList();
    return fitting.isEmpty() ? null : fitting.get(random.nextInt(fitting.size()));
  }

  /** Keeps what a call returned. */
  void keep(Object made) {
    Class<?> list = listOf(made.getClass());
    List<Object> objects = kept.computeIfAbsent(list, type -> new ArrayList<>());
    if (objects.stream().noneMatch(object -> object == made)) {
      objects.add(made);
    }
  }

  /** Forgets what is too many, between two calls: within one it may be an argument. */
  void trim() {
    for (List<Object> objects : kept.values()) {
      while (objects.size() > KEPT) {
        forget(objects.remove(random.nextInt(objects.size())));
      }
    }
  }

  private static Class<?> listOf(Class<?> type) {
    for (Class<?> base : new Class<?>[] {NormLayer.class, LayerBuilder.class}) {
      if (base.isAssignableFrom(type)) {
        return base;
      }
    }
    return type;
  }

  private void forget(Object object) {
    layers.remove(object);
    builders.remove(object);
    passes.remove(object);
    if (object instanceof AutoCloseable closeable) {
      try {
        closeable.close();
      } catch (Exception e) {
        throw new AssertionError("closing " + object, e);
      }
    }
  }

  /** Random values; most of an ordinary size, some of any, and some that are no numbers. */
  float[] values(int count) {
    float[] values = new float[count];
    double scale = random.nextInt(4) == 0 ? Math.pow(10, random.nextInt(33) - 16) : 1;
    double mean = random.nextInt(3) == 0 ? random.nextGaussian() * 3 : 0;
    boolean constant = random.nextInt(12) == 0;
    for (int i = 0; i < count; i++) {
      values[i] = (float) (scale * (mean + (constant ? 1 : random.nextGaussian())));
    }
    if (count > 0 && random.nextInt(8) == 0) {
      float[] special = {Float.NaN, Float.POSITIVE_INFINITY, -0f, Float.MAX_VALUE, 1e-42f};
      values[random.nextInt(count)] = special[random.nextInt(special.length)];
    }
    return values;
  }

  Layout layout() {
    return Layout.values()[random.nextInt(2)];
  }

  /** A new tensor with random values in any kind of memory. */
  Tensor tensor(Layout layout, long... shape) {
    int size = (int) Shapes.size(shape);
    Tensor made =
        switch (layout == Layout.CHANNELS_FIRST ? random.nextInt(4) : random.nextInt(2)) {
          case 0 -> Tensor.allocate(DataType.F32, layout, shape);
          case 1 -> Tensor.wrap(pointer(size + 1).position(1), DataType.F32, layout, shape);
          case 2 -> Tensor.wrap(buffer(size), shape);
          default -> Tensor.of(new float[size], shape);
        };
    made.copyFrom(values(size));
    keep(made);
    return made;
  }

  /** F32 more often than not, or 16 bits. */
  DataType type() {
    return random.nextInt(3) > 0
        ? DataType.F32
        : Storage.COMPUTED.get(random.nextInt(Storage.COMPUTED.size()));
  }

  /** The same in a type. */
  Tensor tensor(DataType type, Layout layout, long... shape) {
    Tensor wide = tensor(layout, shape);
    if (type == DataType.F32) {
      return wide;
    }
    Tensor made = wide.to(type);
    keep(made);
    return made;
  }

  FloatBuffer buffer(int floats) {
    return bytes(floats).asFloatBuffer();
  }

  ByteBuffer bytes(int floats) {
    return ByteBuffer.allocateDirect(4 * floats).order(ByteOrder.nativeOrder());
  }

  FloatPointer pointer(long floats) {
    FloatPointer made = new FloatPointer(Math.max(floats, 1));
    pointers.add(made);
    return made;
  }

  /** A file of tensors to be read. */
  Path file() {
    file = file == null ? PublicApi.weightsFile() : file;
    return file;
  }

  /** One to be written, which nobody reads: on Windows a file that is mapped is not replaced. */
  Path newFile() {
    newFile = newFile == null ? PublicApi.weightsFile() : newFile;
    return newFile;
  }

  /** An input for a layer. */
  Tensor input(LayerSpec spec) {
    return tensor(typeFor(spec), layout(), spec.shape(random));
  }

  /** ONEDNN has F32 alone. */
  private DataType typeFor(LayerSpec spec) {
    return spec.backend == Backend.ONEDNN ? DataType.F32 : type();
  }

  /** The same as columns of a matrix, for one that takes rows. */
  Tensor columns(LayerSpec spec) {
    long[] shape = spec.shape(random);
    int d = shape.length - spec.parameterShape().length;
    long[] matrix = shape.clone();
    matrix[d] += random.nextInt(3);
    Tensor columns =
        tensor(typeFor(spec), Layout.CHANNELS_FIRST, matrix)
            .narrow(d, matrix[d] - shape[d], shape[d]);
    keep(columns);
    return columns;
  }

  /** An open layer. */
  NormLayer layer(Class<? extends NormLayer> type) {
    NormLayer known = any(type);
    return known != null && !isClosed(known) ? known : newLayer(type);
  }

  private NormLayer newLayer(Class<? extends NormLayer> type) {
    LayerBuilder<?> builder = newBuilder(type);
    NormLayer made = builder.build();
    layers.put(made, builders.get(builder).copy());
    keep(made);
    return made;
  }

  /** What a call made, from a builder or by itself. */
  void keepLayer(Executable method, Object builder, Object[] given, NormLayer made) {
    LayerSpec spec =
        builder == null ? LayerSpec.of(made.getClass(), given) : builders.get(builder).copy();
    if (spec.isSmall()) {
      layers.put(made, spec);
      keep(made);
    } else {
      made.close();
    }
  }

  static boolean isClosed(NormLayer layer) {
    try {
      layer.trackedBatches(); // reads what the layer's lock guards
      return false;
    } catch (IllegalStateException e) {
      return true;
    }
  }

  /** Whether training takes the running statistics; the layer is open. */
  static boolean isFrozen(NormLayer layer) {
    return layer instanceof RunningNorm running && running.isFrozen();
  }

  /** A builder of a class, or of a class below it. */
  LayerBuilder<?> builder(Class<?> type) {
    Object known = any(type);
    return known != null && random.nextInt(3) > 0
        ? (LayerBuilder<?>) known
        : newBuilder(layerOf(type));
  }

  private static Class<? extends NormLayer> layerOf(Class<?> builder) {
    return builder == LayerBuilder.class
        ? NormLayer.class
        : builder == RunningBuilder.class
            ? BatchNorm.class
            : builder.getDeclaringClass().asSubclass(NormLayer.class);
  }

  /** A class of layers, or those below it. */
  private static List<Class<?>> kinds(Class<?> type) {
    return type.isSealed()
        ? Arrays.stream(type.getPermittedSubclasses()).flatMap(k -> kinds(k).stream()).toList()
        : List.of(type);
  }

  private LayerBuilder<?> newBuilder(Class<? extends NormLayer> type) {
    List<Class<?>> kinds = kinds(type);
    Class<?> kind = kinds.get(random.nextInt(kinds.size()));
    long n = channels();
    long[] row = {2, n};
    long channels = n * (1 + random.nextInt(4));
    LayerBuilder<?> made =
        kind == BatchNorm.class
            ? BatchNorm.builder(n)
            : kind == InstanceNorm.class
                ? InstanceNorm.builder(n)
                : kind == GroupNorm.class
                    ? GroupNorm.builder(n, channels)
                    : kind == LayerNorm.class ? LayerNorm.builder(row) : RmsNorm.builder(row);
    boolean ofRows = kind == LayerNorm.class || kind == RmsNorm.class;
    LayerSpec spec = LayerSpec.of(kind, ofRows ? new Object[] {row} : new Object[] {n, channels});
    List<Backend> engines = TestEngines.all();
    spec.backend = engines.get(random.nextInt(engines.size()));
    made.backend(spec.backend);
    if (made instanceof RunningBuilder<?> running) {
      spec.tracks = random.nextBoolean();
      running.trackRunningStats(spec.tracks);
    }
    if (made instanceof BatchNorm.Builder batch && spec.tracks && random.nextInt(4) == 0) {
      spec.ghost = 1 + random.nextInt(4);
      batch.ghost(spec.ghost);
    }
    builders.put(made, spec);
    keep(made);
    return made;
  }

  /** Memory to be shared with a layer. */
  Tensor parameterOf(LayerBuilder<?> builder) {
    return tensor(Layout.CHANNELS_FIRST, builders.get(builder).parameterShape());
  }

  /** A builder that a call made, or told something. */
  void keepBuilder(Executable method, Object receiver, Object[] given, LayerBuilder<?> builder) {
    if (receiver == null) {
      LayerSpec made = LayerSpec.of(builder.getClass().getDeclaringClass(), given);
      if (made.isSmall()) {
        builders.put(builder, made);
        keep(builder);
      }
      return;
    }
    LayerSpec spec = builders.get(builder);
    switch (method.getName()) {
      case "eps" -> spec.eps = (double) given[0];
      case "backend" -> spec.backend = (Backend) given[0];
      case "activation" -> spec.activation = (Activation) given[0];
      case "unitOffset" -> spec.unitOffset = (double) given[0];
      case "trackRunningStats" -> spec.tracks = (boolean) given[0];
      case "ghost" -> spec.ghost = (long) given[0];
      default -> {} // no matter to a result, or seen in the layer's tensors
    }
  }

  long channels() {
    return 1 + random.nextInt(random.nextInt(20) == 0 ? 700 : 20);
  }

  Tensor openTensor() {
    return openTensor(List.of(DataType.F32));
  }

  Tensor openTensor(List<DataType> types) {
    Tensor known = any(Tensor.class);
    boolean isUsable =
        known != null
            && !known.isClosed()
            && !known.isReadOnly()
            && types.contains(known.dataType())
            && known.pieces() == null;
    return isUsable ? known : tensor(layout(), channels(), 1 + random.nextInt(4), 3);
  }

  /** A tensor of numbers that are no floats. */
  Tensor counts() {
    Tensor made = Tensor.allocate(DataType.I64, layout(), channels(), 1 + random.nextInt(3));
    keep(made);
    return made;
  }

  /** A training pass that is open, with an open layer. */
  Pass pass() {
    Pass known = any(Pass.class);
    if (known != null && !passes.get(known).isClosed(known) && random.nextInt(4) > 0) {
      return known;
    }
    NormLayer layer = layer(NormLayer.class);
    LayerSpec spec = layers.get(layer);
    boolean refuses =
        spec.backend == Backend.ONEDNN && (spec.unitOffset != 0 || layer.isShared()); // no phases
    if (spec.eps == 0 || refuses || !TestEngines.all().contains(spec.backend)) {
      layer = newLayer(layer.getClass());
    }
    Tensor x = input(layers.get(layer));
    return keepPass(layer, x, layer.forwardTraining(x), isFrozen(layer));
  }

  /** A known pass after a forward that it was called for: it takes a tensor that is known. */
  void forwardAgain(Pass pass) {
    Trained before = passes.get(pass);
    Tensor x = tensor(before.input().dataType(), before.input().layout(), before.shape());
    pass.forward(x, tensor(x.dataType(), x.layout(), x.shape()));
    keepPass(before.layer(), x, pass, before.running() != null);
  }

  /** A pass that a call made. */
  Pass keepPass(NormLayer layer, Tensor x, Pass pass, boolean frozen) {
    passes.put(
        pass,
        new Trained(
            layers.get(layer).copy(),
            layer,
            x,
            inOrder(x),
            pass.output().toArray(),
            statisticsOf(pass),
            frozen ? CallNumbers.runningOf(layer) : null));
    keep(pass);
    return pass;
  }

  @Override
  public void close() {
    kept.values().forEach(objects -> objects.forEach(this::forget));
    pointers.forEach(FloatPointer::close);
    for (Path made : new Path[] {file, newFile}) {
      if (made != null) {
        made.toFile().delete();
      }
    }
  }
}
