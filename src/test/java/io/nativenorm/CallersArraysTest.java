package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.PublicApi.Call;
import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.reflect.Parameter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A caller's shape may change at any time: a method reads it once, so that what was checked is what
 * is used. Another thread flips one extent while the calls run; the shapes have many, which makes
 * every look at them long.
 */
@LeavesMemoryToTheCollector
class CallersArraysTest {
  private static final long SEED = Long.getLong("nativenorm.seed", 20261126);
  private static final VarHandle EXTENT = MethodHandles.arrayElementVarHandle(long[].class);

  /** One look at so many extents takes 10 us, as long as the pauses between two flips. */
  private static final int RANK = 1 << 14;

  /** Neither the first two, which are samples and channels, nor the last, which is a row. */
  private static final int FLIPPED = 2;

  /** What the memory that comes with the shape has room for: whole buffers of the pool. */
  private static final int FITS = 1024;

  private static final int TOO_MANY = 4096;

  /**
   * A second look shows in one call of two to ten. They count if there was a flip meanwhile; on a
   * busy machine there may be none, and time ends it.
   */
  private static final int CALLS = 100;

  private static final long NANOS = 200_000_000;

  private static final long LONGEST_PAUSE = 25_000;

  static Stream<Call> callsWithAnArray() throws Exception {
    return PublicApi.calls().stream()
        .filter(call -> shapeIndex(call) >= 0)
        .peek(
            call ->
                assertTrue(
                    Arrays.stream(call.executable().getParameterTypes())
                        .allMatch(
                            type ->
                                !type.isArray() || type == long[].class || type == float[].class),
                    () -> call + " takes an array of another type: flip its elements too"));
  }

  private static int shapeIndex(Call call) {
    return Arrays.asList(call.executable().getParameterTypes()).indexOf(long[].class);
  }

  @ParameterizedTest
  @Timeout(60)
  @MethodSource("callsWithAnArray")
  void aShapeIsReadOnce(Call call) throws Throwable {
    String name = call.executable().getName();
    boolean isIndex = List.of("get", "getLong", "set").contains(name);
    long[] shape = isIndex ? index() : shape();
    Object receiver =
        isIndex
            ? indexed(name.equals("getLong") ? DataType.I64 : DataType.F32)
            : call.owner() == Tensor.class ? Tensor.zeros(FITS) : call.receiver();
    Object[] arguments = arguments(call, receiver, shape);
    Flipper flipper = new Flipper(call.toString().hashCode() ^ SEED, LONGEST_PAUSE);
    flipper.start(
        random -> EXTENT.setVolatile(shape, FLIPPED, random.nextBoolean() ? FITS : TOO_MANY));
    int taken = 0;
    try {
      long end = System.nanoTime() + NANOS;
      for (int calls = 0; taken == 0 || (calls < CALLS && System.nanoTime() < end); ) {
        int flips = flipper.flips;
        try {
          requireWhole(call.invoke(receiver, arguments), call);
          taken++;
        } catch (IllegalArgumentException | IndexOutOfBoundsException refused) {
          // As it should where the shape was too large; out of bounds is an index alone.
          if (refused instanceof IndexOutOfBoundsException && !isIndex) {
            throw new AssertionError(call + ", -Dnativenorm.seed=" + SEED, refused);
          }
        } catch (Throwable e) {
          throw new AssertionError(call + ", -Dnativenorm.seed=" + SEED, e);
        }
        calls += flipper.flips == flips ? 0 : 1;
      }
    } finally {
      flipper.end();
    }
  }

  private static long[] shape() {
    long[] shape = new long[RANK];
    Arrays.fill(shape, 1);
    shape[FLIPPED] = FITS;
    return shape;
  }

  private static long[] index() {
    long[] index = new long[RANK];
    index[FLIPPED] = FITS;
    return index;
  }

  /** What has an element at that index. */
  private static Tensor indexed(DataType type) {
    long[] shape = shape();
    shape[FLIPPED] = FITS + 1;
    return Tensor.allocate(type, Layout.CHANNELS_FIRST, shape);
  }

  private static Object[] arguments(Call call, Object receiver, long[] shape) {
    Object[] arguments = call.arguments(receiver);
    Parameter[] parameters = call.executable().getParameters();
    for (int i = 0; i < arguments.length; i++) {
      Class<?> type = parameters[i].getType();
      if (type == long[].class) {
        arguments[i] = shape;
      } else if (type == float[].class) {
        arguments[i] = new float[FITS];
      } else if (type == FloatBuffer.class) {
        arguments[i] = direct(FITS);
      } else if (type == ByteBuffer.class) {
        arguments[i] = ByteBuffer.allocateDirect(FITS * Float.BYTES).order(ByteOrder.nativeOrder());
      } else if (type == Pointer.class) {
        arguments[i] = new FloatPointer(FITS);
      } else if (parameters[i].getName().equals("owner")) {
        FloatBuffer owner = direct(FITS);
        arguments[i] = owner;
        arguments[i - 1] = address(owner);
      }
    }
    return arguments;
  }

  /** What was made agrees with itself. */
  private static void requireWhole(Object made, Call call) {
    if (made instanceof Tensor tensor) {
      try (tensor) {
        requireWhole(tensor, call);
      }
    } else if (made instanceof LayerBuilder<?> builder) {
      requireWhole(builder.build(), call);
    } else if (made instanceof NormLayer layer) {
      try (layer) {
        requireWhole(layer.weight(), call);
        String named = layer.toString().replaceFirst("[^\\[]*", "").replace(")", "");
        boolean same = named.equals(Arrays.toString(layer.weight().shape()));
        assertTrue(same, "the name has another shape than the weight"); // which would be a megabyte
      }
    }
  }

  private static void requireWhole(Tensor tensor, Call call) {
    assertEquals(tensor.size(), Shapes.size(tensor.shape()), call.toString());
    assertEquals(tensor.size(), tensor.toArray().length, call.toString());
    boolean hasMemory = !List.of("zeros", "allocate").contains(call.executable().getName());
    if (call.owner() == Tensor.class && hasMemory) {
      assertEquals(FITS, tensor.size(), call.toString());
    }
  }

  @Test
  void aBuffersPositionIsReadOnce() {
    FloatBuffer buffer = direct(2 * FITS);
    long begin = address(buffer);
    buffer.position(FITS);
    Flipper flipper = new Flipper(SEED, 2_000);
    flipper.start(random -> buffer.position(random.nextBoolean() ? FITS : 2 * FITS - 1));
    try {
      for (long end = System.nanoTime() + NANOS; System.nanoTime() < end; ) {
        try (Tensor tensor = Tensor.wrap(buffer, FITS)) {
          assertEquals(begin + FITS * Float.BYTES, tensor.pointer().address(), "seed " + SEED);
        } catch (IllegalArgumentException refused) {
          // as it should where there were too few left
        }
      }
    } finally {
      flipper.end();
    }
  }

  private static long address(FloatBuffer buffer) {
    try (Tensor tensor = Tensor.wrap(buffer, buffer.remaining())) {
      return tensor.pointer().address();
    }
  }

  @Test
  void whatAMethodReturnsOrTookIsNotTheCallers() {
    long[] shape = {2, 3};
    try (Tensor tensor = Tensor.zeros(shape);
        Tensor shared = tensor.reshape(shape);
        Tensor wrapped = Tensor.wrap(direct(6), shape);
        LayerNorm layer = LayerNorm.of(shape)) {
      shape[0] = 1000;
      for (Tensor each : List.of(tensor, shared, wrapped, layer.weight())) {
        each.shape()[1] = 1000;
        assertArrayEquals(new long[] {2, 3}, each.shape());
      }
    }
  }

  private static FloatBuffer direct(int floats) {
    return ByteBuffer.allocateDirect(floats * Float.BYTES)
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }

  /** A thread that does something again and again, after pauses of a random length. */
  private static final class Flipper {
    private final Random random;
    private final long longestPause;
    private volatile int flips;
    private volatile boolean over;
    private Thread thread;

    Flipper(long seed, long longestPause) {
      random = new Random(seed);
      this.longestPause = longestPause;
    }

    void start(Consumer<Random> flip) {
      thread =
          new Thread(
              () -> {
                while (!over) {
                  flip.accept(random);
                  flips++;
                  long until = System.nanoTime() + random.nextLong(longestPause);
                  while (System.nanoTime() < until) {
                    Thread.onSpinWait();
                  }
                }
              });
      thread.start();
    }

    void end() {
      over = true;
      try {
        thread.join();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
  }
}
