package io.nativenorm;

import java.lang.reflect.Executable;
import java.lang.reflect.Parameter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/** Arguments of random calls: such as a method must take, and such as it must refuse or survive. */
final class CallArguments {
  /** Beyond what a machine has, or what a long holds. */
  private static final long[] HUGE = {1L << 40, 1L << 62, Long.MAX_VALUE, Long.MIN_VALUE};

  private final CallSubjects subjects;
  private final Random random;

  CallArguments(CallSubjects subjects) {
    this.subjects = subjects;
    this.random = subjects.random;
  }

  /** Such as the method takes. */
  Object[] valid(Executable method, Object receiver) {
    Class<?>[] types = method.getParameterTypes();
    if (types.length == 0) {
      return new Object[0];
    }
    if (receiver instanceof NormLayer layer) {
      return ofLayer(method, layer);
    }
    if (receiver instanceof Pass pass) {
      return ofPass(method.getName(), types, pass);
    }
    if (receiver instanceof Tensor tensor) {
      return ofTensor(method.getName(), types[0], tensor);
    }
    return switch (method.getName()) {
      case "keep" -> new Object[] {subjects.openTensor()};
      case "of", "builder", "zeros" ->
          types[0] == Tensor.class ? new Object[] {allOf(shape())} : shaped(types);
      case "allocate" -> {
        long[] shape = shape();
        yield new Object[] {anyOf(DataType.class), subjects.layout(), shape};
      }
      case "wrap" -> wrapped(types);
      case "fromArray" ->
          new Object[] {
            method.getDeclaringClass() == GradientSums.class
                ? TestData.widen(subjects.values(4))
                : new double[5]
          };
      case "differing" -> new Object[] {List.of("one", "another")};
      case "ghost" -> new Object[] {1L + random.nextInt(4)};
      case "lengths" -> new Object[] {shape()};
      case "read" -> new Object[] {subjects.file(), ""};
      case "write" -> new Object[] {subjects.newFile(), subjects.layer(NormLayer.class).state()};
      case "normalize" -> withParameters(types);
      case "plainPass" -> {
        Tensor x = subjects.openTensor();
        Tensor y = subjects.tensor(x.layout(), x.shape());
        yield new Object[] {x, y, random.nextFloat(), random.nextFloat()};
      }
      case "weight", "bias" ->
          types[0] == Tensor.class
              ? new Object[] {subjects.parameterOf((LayerBuilder<?>) receiver)}
              : new Object[] {random.nextBoolean() && !(receiver instanceof RmsNorm.Builder)};
      default -> ofTypes(types);
    };
  }

  /** The same with one or two of them, where there are any, replaced by something else. */
  Object[] hostile(Executable method, Object receiver) {
    Object[] arguments = valid(method, receiver);
    Class<?>[] types = method.getParameterTypes();
    for (int i = 0; types.length > 0 && i <= random.nextInt(2); i++) {
      int which = random.nextInt(types.length);
      arguments[which] = hostile(types[which], arguments[which]);
    }
    return arguments;
  }

  private Object[] ofLayer(Executable method, NormLayer layer) {
    Class<?>[] types = method.getParameterTypes();
    LayerSpec spec = subjects.layers.get(layer);
    if (types[0] == Map.class) {
      return types.length == 1
          ? new Object[] {stateLike(layer)}
          : new Object[] {stateLike(layer), random.nextBoolean()};
    }
    if (types[0] == DataType.class) {
      return new Object[] {subjects.type(), subjects.layout(), spec.shape(random)};
    }
    if (types[0] == float[].class && types.length > 3) {
      return ofArrays(types.length, spec.rowLength());
    }
    if (types[0] == float[].class) {
      long[] shape = spec.shape(random);
      float[] x = subjects.values((int) Shapes.size(shape));
      Object y = mayBeInPlace(method) && random.nextBoolean() ? x : new float[x.length];
      return types.length == 3
          ? new Object[] {x, y, shape}
          : new Object[] {x, types[1] == float[].class ? y : shape};
    }
    if (types[0] == double.class) {
      return new Object[] {random.nextDouble()};
    }
    if (Arrays.asList(types).contains(ChannelMoments.class)) {
      return inParts(method.getParameters(), spec);
    }
    boolean mayLieApart = List.of("forward", "explain").contains(method.getName());
    Tensor x =
        mayLieApart && spec.normalizesRows() && random.nextInt(3) == 0
            ? subjects.columns(spec)
            : subjects.input(spec);
    if (types.length == 1) {
      return new Object[] {x};
    }
    if (types[1] == Mask.class) {
      Mask mask = maskOf(x);
      return types.length == 2
          ? new Object[] {x, mask}
          : new Object[] {
            x, mask, random.nextBoolean() ? x : subjects.tensor(x.dataType(), x.layout(), x.shape())
          };
    }
    if (mayBeInPlace(method) && random.nextBoolean()) {
      return new Object[] {x, x};
    }
    DataType other = x.dataType() == DataType.F32 ? subjects.type() : DataType.F32;
    boolean isPair = mayBeInPlace(method) && random.nextInt(3) == 0;
    DataType type = isPair ? other : x.dataType();
    return new Object[] {x, subjects.tensor(type, x.layout(), x.shape())};
  }

  /** That counts all: what is computed is what it is without one. */
  private Mask maskOf(Tensor x) {
    long[] shape = x.shape();
    if (shape.length > 2 && random.nextBoolean()) {
      long[] lengths = new long[(int) shape[0]];
      Arrays.fill(lengths, shape[2]);
      return Mask.lengths(lengths);
    }
    long[] positions = new long[shape.length - 1];
    Arrays.setAll(positions, i -> shape[i == 0 ? 0 : i + 1]);
    return Mask.of(allOf(positions));
  }

  private Tensor allOf(long[] positions) {
    Tensor all = Tensor.allocate(DataType.U8, Layout.CHANNELS_FIRST, positions);
    float[] ones = new float[(int) all.size()];
    Arrays.fill(ones, 1);
    all.copyFrom(ones);
    subjects.keep(all);
    return all;
  }

  /** A part of a batch, and what was found for the whole. */
  private Object[] inParts(Parameter[] parameters, LayerSpec spec) {
    Tensor x = subjects.input(spec);
    int channels = (int) spec.parameterShape()[0];
    return Arrays.stream(parameters)
        .map(
            parameter ->
                switch (parameter.getName()) {
                  case "x" -> x;
                  case "m" -> moments(channels);
                  case "sums" ->
                      GradientSums.fromArray(
                          TestData.widen(TestData.normal(random.nextLong(), 2 * channels, 0, 9)));
                  case "dWeight", "dBias" -> null;
                  default -> subjects.tensor(x.dataType(), x.layout(), x.shape());
                })
        .toArray();
  }

  private ChannelMoments moments(int channels) {
    double[] values = TestData.widen(TestData.normal(random.nextLong(), 2 * channels + 1, 0, 9));
    for (int i = 0; i < values.length; i++) {
      values[i] = i > 0 && i <= channels ? values[i] : 2 + Math.abs(values[i]);
    }
    values[0] = Math.rint(values[0]);
    return ChannelMoments.fromArray(values);
  }

  private static boolean mayBeInPlace(Executable method) {
    return !method.getName().equals("forwardTraining");
  }

  /** Of the pass's shape; a gradient may be left out, and dx be dy. */
  private Object[] ofPass(String method, Class<?>[] types, Pass pass) {
    CallSubjects.Trained trained = subjects.passes.get(pass);
    Layout layout = trained.input().layout();
    long[] shape = trained.shape();
    boolean arrays = types[0] == float[].class;
    int size = (int) Shapes.size(shape);
    DataType type = trained.input().dataType();
    Object first = arrays ? subjects.values(size) : gradient(type, layout, shape);
    if (types.length == 1) {
      return new Object[] {first};
    }
    Object second = arrays ? new float[size] : subjects.tensor(type, layout, shape);
    if (method.equals("forward")) {
      return new Object[] {first, second};
    }
    Object dx =
        switch (random.nextInt(4)) {
          case 0 -> null;
          case 1 -> first;
          default -> second;
        };
    return new Object[] {
      first,
      dx,
      parameterGradient(trained.weightShape(), arrays),
      parameterGradient(trained.biasShape(), arrays)
    };
  }

  private Object parameterGradient(long[] shape, boolean array) {
    if (shape == null || random.nextInt(3) == 0) {
      return null;
    }
    return array
        ? subjects.values((int) Shapes.size(shape))
        : subjects.tensor(Layout.CHANNELS_FIRST, shape);
  }

  /** Rows inside arrays, which lie apart if there are eight arguments. */
  private Object[] ofArrays(int count, int length) {
    int rows = random.nextInt(7);
    int together = 1 + random.nextInt(3);
    int from = random.nextInt(4);
    int stride = together * length + random.nextInt(3);
    int size = from + (rows + together) * (length + 3);
    float[] x = subjects.values(size);
    boolean inPlace = random.nextBoolean();
    float[] y = inPlace ? x : new float[size];
    int to = inPlace ? from : random.nextInt(4);
    return count == 5
        ? new Object[] {x, from, y, to, rows}
        : new Object[] {x, from, stride, y, to, stride, together, rows};
  }

  /** Without a layer: rows with parameters in arrays, or with a weight in a buffer. */
  private Object[] withParameters(Class<?>[] types) {
    int length = 1 + random.nextInt(40);
    Object[] arguments = new Object[types.length];
    System.arraycopy(ofArrays(5, length), 0, arguments, 0, 5);
    arguments[5] = length;
    for (int i = 6; i < types.length; i++) {
      boolean isBuffer = types[i] == FloatBuffer.class;
      arguments[i] =
          types[i] == double.class
              ? Math.pow(10, -random.nextInt(8))
              : types[i] == int.class
                  ? random.nextInt(3)
                  : isBuffer ? subjects.buffer(length + 2) : subjects.values(length + 2);
    }
    return arguments;
  }

  private Map<String, Tensor> stateLike(NormLayer layer) {
    Map<String, Tensor> state = new HashMap<>();
    if (CallSubjects.isClosed(layer)) {
      return state;
    }
    layer
        .state()
        .forEach(
            (name, tensor) -> {
              Tensor copy = tensor.to(tensor.layout());
              if (copy.dataType() == DataType.F32 && copy.rank() > 0) {
                float[] values = TestData.normal(random.nextLong(), (int) copy.size(), 1, 0.1);
                copy.copyFrom(values);
              }
              subjects.keep(copy);
              boolean isFloats = copy.dataType() == DataType.F32;
              Tensor typed = isFloats ? copy.to(subjects.type()) : copy;
              subjects.keep(typed);
              state.put(name, typed);
            });
    return state;
  }

  private Object[] ofTensor(String method, Class<?> type, Tensor tensor) {
    return switch (method) {
      case "copyFrom" -> {
        float[] values = subjects.values((int) tensor.size());
        yield new Object[] {type == float[].class ? values : FloatBuffer.wrap(values)};
      }
      case "addScaled" ->
          new Object[] {
            random.nextFloat(), subjects.tensor(subjects.type(), tensor.layout(), tensor.shape())
          };
      case "narrow" -> {
        int d = tensor.rank() == 0 ? 0 : random.nextInt(tensor.rank());
        long from = tensor.rank() == 0 ? 0 : random.nextInt((int) tensor.shape()[d] + 1);
        long left = tensor.rank() == 0 ? 0 : tensor.shape()[d] - from;
        yield new Object[] {d, from, (long) random.nextInt((int) left + 1)};
      }
      case "get" -> new Object[] {indexIn(tensor)};
      case "set" -> new Object[] {random.nextFloat(), indexIn(tensor)};
      case "copyTo" -> new Object[] {new float[(int) tensor.size()]};
      case "reshape" ->
          new Object[] {
            random.nextBoolean() ? new long[] {tensor.size()} : new long[] {1, tensor.size(), 1}
          };
      case "getLong" -> new Object[] {new long[tensor.rank()]};
      case "to" -> new Object[] {type == DataType.class ? subjects.type() : subjects.layout()};
      default -> throw new AssertionError("no arguments for Tensor." + method);
    };
  }

  private Tensor gradient(DataType type, Layout layout, long[] shape) {
    Tensor dy = subjects.tensor(type, layout, shape);
    dy.copyFrom(TestData.normal(random.nextLong(), (int) dy.size(), 0, 1));
    return dy;
  }

  /** Of an element, if there are any. */
  private long[] indexIn(Tensor tensor) {
    return Arrays.stream(tensor.shape()).map(n -> n == 0 ? 0 : random.nextInt((int) n)).toArray();
  }

  private Object[] shaped(Class<?>[] types) {
    if (types[0] == float[].class) {
      long[] shape = shape();
      return new Object[] {subjects.values((int) Shapes.size(shape)), shape};
    }
    if (types.length == 2) {
      long groups = subjects.channels();
      return new Object[] {groups, groups * (1 + random.nextInt(3))};
    }
    return types[0] == long.class
        ? new Object[] {subjects.channels()}
        : new Object[] {new long[] {subjects.channels()}};
  }

  private long[] shape() {
    long[] shape = new long[random.nextInt(5)];
    Arrays.setAll(shape, i -> random.nextInt(7));
    return shape;
  }

  private Object[] wrapped(Class<?>[] types) {
    Class<?> memory = types[0];
    long[] shape = shape();
    int size = (int) Shapes.size(shape);
    if (memory == FloatBuffer.class) {
      FloatBuffer buffer = subjects.buffer(size + random.nextInt(2));
      return types.length == 2
          ? new Object[] {buffer, shape}
          : new Object[] {buffer, subjects.layout(), shape};
    }
    if (memory == long.class) {
      ByteBuffer owner = subjects.bytes(size);
      long address = new BytePointer(owner).address();
      return new Object[] {address, owner, DataType.F32, subjects.layout(), shape};
    }
    Object given = memory == ByteBuffer.class ? subjects.bytes(size) : subjects.pointer(size);
    return new Object[] {given, DataType.F32, subjects.layout(), shape};
  }

  private Object[] ofTypes(Class<?>[] types) {
    return Arrays.stream(types).map(this::ofType).toArray();
  }

  private Object ofType(Class<?> type) {
    if (type == double.class) {
      return Math.pow(10, -random.nextInt(8));
    }
    if (type == int.class) {
      return 1 + random.nextInt(3);
    }
    if (type == boolean.class) {
      return random.nextBoolean();
    }
    if (type == Backend.class) {
      return TestEngines.all().get(random.nextInt(TestEngines.all().size()));
    }
    if (type.isEnum()) {
      return anyOf(type);
    }
    if (type == String.class || type == Object.class) {
      return "words";
    }
    if (type == List.class) {
      return List.of();
    }
    if (type == Optional.class) {
      return Optional.empty();
    }
    if (type == Map.class) {
      return Map.of();
    }
    if (type == double[].class) {
      return TestData.widen(subjects.values(3));
    }
    if (type == Duration.class) {
      return Duration.ofSeconds(5);
    }
    if (type == Throwable.class) {
      return new ArithmeticException();
    }
    if (type == Explanation.Choice.class
        || type == ChannelMoments.class
        || type == StatisticsExchange.class
        || type == GradientSums.class) {
      return PublicApi.example(type);
    }
    throw new AssertionError("no value of " + type);
  }

  private Object anyOf(Class<?> enumeration) {
    Object[] constants = enumeration.getEnumConstants();
    return constants[random.nextInt(constants.length)];
  }

  private Object hostile(Class<?> type, Object valid) {
    if (valid == null || (!type.isPrimitive() && random.nextInt(4) == 0)) {
      return null;
    }
    if (type == long.class) {
      return hostileLong();
    }
    if (type == int.class) {
      return new int[] {0, -1, Integer.MIN_VALUE, Integer.MAX_VALUE}[random.nextInt(4)];
    }
    if (type == double.class) {
      return new double[] {0, -1, Double.NaN, 1 / 0.0, Double.MIN_VALUE, 1e308}[random.nextInt(6)];
    }
    if (type == float.class) {
      return new float[] {0, -1, Float.NaN, 1 / 0f, Float.MIN_VALUE}[random.nextInt(5)];
    }
    if (type == long[].class) {
      return hostileShape((long[]) valid);
    }
    if (type == float[].class) {
      return subjects.values(Math.max(0, ((float[]) valid).length + random.nextInt(5) - 2));
    }
    if (type == double[].class) {
      return TestData.widen(subjects.values(random.nextInt(7)));
    }
    if (type == ChannelMoments.class) {
      return ChannelMoments.fromArray(new double[5]);
    }
    if (type == GradientSums.class) {
      return GradientSums.fromArray(new double[4]);
    }
    if (type == Mask.class) {
      return Mask.lengths(random.nextInt(3), 1L << 40); // one that fits would not count all
    }
    if (type == Tensor.class) {
      Tensor any = subjects.any(Tensor.class);
      return any != null ? any : valid;
    }
    if (type == FloatBuffer.class) {
      return hostileBuffer((FloatBuffer) valid);
    }
    if (type == ByteBuffer.class) {
      return hostileBytes((ByteBuffer) valid);
    }
    if (type == Pointer.class) {
      return valid instanceof FloatPointer pointer ? hostilePointer(pointer) : valid;
    }
    if (type == Map.class) {
      return hostileState((Map<?, ?>) valid);
    }
    if (type == String.class) {
      return "";
    }
    if (type == Duration.class) {
      return Duration.ZERO.minusNanos(random.nextInt(2));
    }
    if (type == Path.class) {
      Path file = (Path) valid;
      return random.nextBoolean() ? file.getParent() : file.resolve("none");
    }
    if (type == AutoCloseable.class) {
      return valid;
    }
    return type.isEnum() ? anyOf(type) : valid;
  }

  private long hostileLong() {
    return random.nextInt(50) == 0
        ? HUGE[random.nextInt(HUGE.length)]
        : new long[] {0, -1, 7, Integer.MIN_VALUE, Long.MIN_VALUE}[random.nextInt(5)];
  }

  private long[] hostileShape(long[] valid) {
    long[] shape = Arrays.copyOf(valid, random.nextInt(valid.length + 3));
    if (shape.length > 0 && random.nextBoolean()) {
      shape[random.nextInt(shape.length)] = hostileLong();
    }
    return shape;
  }

  private FloatBuffer hostileBuffer(FloatBuffer valid) {
    return switch (random.nextInt(5)) {
      case 0 -> FloatBuffer.allocate(valid.capacity());
      case 1 -> valid.asReadOnlyBuffer();
      case 2 -> valid.duplicate().limit(random.nextInt(valid.capacity() + 1));
      case 3 -> valid.duplicate().position(random.nextInt(valid.limit() + 1));
      default -> {
        ByteBuffer bytes = ByteBuffer.allocateDirect(4 * valid.capacity() + 1);
        boolean foreign = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN;
        yield random.nextBoolean()
            ? bytes.position(1).slice().order(ByteOrder.nativeOrder()).asFloatBuffer()
            : bytes.order(foreign ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
      }
    };
  }

  private ByteBuffer hostileBytes(ByteBuffer valid) {
    return switch (random.nextInt(5)) {
      case 0 -> ByteBuffer.allocate(valid.capacity());
      case 1 -> valid.asReadOnlyBuffer().order(ByteOrder.nativeOrder());
      case 2 -> valid.limit(random.nextInt(valid.capacity() + 1));
      case 3 -> valid.position(random.nextInt(valid.limit() + 1));
      default -> valid.duplicate(); // in the order of the network
    };
  }

  private Pointer hostilePointer(FloatPointer valid) {
    return switch (random.nextInt(4)) {
      case 0 -> new FloatPointer();
      case 1 -> new BytePointer(valid).position(1 + random.nextInt(3));
      case 2 -> new FloatPointer(valid).limit(random.nextInt((int) valid.capacity() + 1));
      default -> new FloatPointer(valid).position(random.nextInt((int) valid.capacity() + 1));
    };
  }

  private Map<String, Tensor> hostileState(Map<?, ?> valid) {
    Map<String, Tensor> state = new HashMap<>();
    valid.forEach(
        (name, tensor) -> {
          switch (random.nextInt(5)) {
            case 0 -> state.put((String) name, null);
            case 1 -> state.put(name + "_", (Tensor) tensor);
            case 2 -> state.put((String) name, subjects.any(Tensor.class));
            case 3 -> {}
            default -> state.put((String) name, (Tensor) tensor);
          }
        });
    return state;
  }
}
