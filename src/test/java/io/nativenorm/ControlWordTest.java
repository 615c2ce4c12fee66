package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Map;
import java.util.zip.CRC32;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.opencl.User_func_Pointer;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Native code has made the thread of the first large call, which starts the threads that help,
 * round upwards and flush subnormal numbers to zero. What other threads then compute is what they
 * would have without it, and on FUSED what the thread itself does is too.
 */
@SameOnAnyJvm
class ControlWordTest {
  /** What is in {@code -Dword}. */
  enum Word {
    DEFAULT,
    CHANGED
  }

  /** Prints what the first call computed, and how many others came out of 4 more. */
  static final class Calls {
    private static final int ROWS = 256;
    private static final int COLUMNS = 2048;

    /** MXCSR in glibc's fenv_t; its bits for rounding upwards, FTZ and DAZ. */
    private static final int MXCSR = 28;

    private static final int UPWARDS_WITHOUT_SUBNORMALS = 0x4000 | 0x8000 | 0x0040;

    private static volatile long first;

    public static void main(String[] args) throws Exception {
      float[] x = TestData.normal(1, ROWS * COLUMNS, 0.3, 1);
      float[] weight = TestData.normal(2, COLUMNS, 0, 1);
      for (int i = 0; i < COLUMNS; i += 2) {
        weight[i] *= 1e-40f;
      }
      Backend backend = Backend.valueOf(System.getProperty("backend"));
      try (LayerNorm layer = LayerNorm.builder(COLUMNS).backend(backend).build()) {
        layer.weight().copyFrom(weight);
        Thread changed = new Thread(() -> first = firstCall(layer, x));
        changed.start();
        changed.join();
        long clean = results(layer, x);
        int others = 0;
        for (int i = 0; i < 4; i++) {
          others += results(layer, x) == clean ? 0 : 1;
        }
        System.out.printf("%n%x %x %d others%n", first, clean, others);
      }
    }

    private static long firstCall(LayerNorm layer, float[] x) {
      if (Word.valueOf(System.getProperty("word")) == Word.CHANGED) {
        try (BytePointer environment = new BytePointer(64)) {
          function("fegetenv").call(environment);
          ByteBuffer bytes = environment.asByteBuffer().order(ByteOrder.nativeOrder());
          bytes.putInt(MXCSR, bytes.getInt(MXCSR) | UPWARDS_WITHOUT_SUBNORMALS);
          function("fesetenv").call(environment);
        }
      }
      return results(layer, x);
    }

    /** One of the C library's, by way of the presets' class that calls what takes a pointer. */
    private static User_func_Pointer function(String symbol) {
      Pointer address = Loader.addressof(symbol);
      return new User_func_Pointer(new LongPointer(address.address(), 0).retainReference());
    }

    /** Of all that is computed: y, dx and the parameters' gradients. */
    private static long results(LayerNorm layer, float[] x) {
      try (Tensor input = Tensor.of(x, ROWS, COLUMNS);
          Pass pass = layer.forwardTraining(input);
          Gradients gradients = pass.backward(input)) {
        CRC32 sum = new CRC32();
        Tensor[] all = {pass.output(), gradients.input(), gradients.weight(), gradients.bias()};
        for (Tensor each : all) {
          ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(4 * each.size()));
          bytes.asFloatBuffer().put(each.toArray());
          sum.update(bytes);
        }
        return sum.getValue();
      }
    }
  }

  private static String[] run(Backend backend, Word word) throws Exception {
    JavaProcess process =
        JavaProcess.run(Calls.class, Map.of(), "-Dbackend=" + backend, "-Dword=" + word);
    assertEquals(0, process.status(), process.output());
    String[] lines = process.output().split("\n");
    return lines[lines.length - 1].split(" ", 3);
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  @EnabledOnOs(value = OS.LINUX, architectures = "amd64", disabledReason = "glibc's fenv_t")
  void aChangedControlWordStaysWithItsThread(Backend backend) throws Exception {
    String[] expected = run(backend, Word.DEFAULT);
    assertEquals(expected[0], expected[1]);
    String[] found = run(backend, Word.CHANGED);
    assertEquals("0 others", found[2], () -> Arrays.toString(found));
    assertEquals(expected[1], found[1], "what a thread computes that has not changed it");
    if (backend == Backend.FUSED) {
      assertEquals(expected[1], found[0], "what the thread computes that has changed it");
    }
    if (backend == Backend.JAVA) {
      assertNotEquals(expected[1], found[0], "the word was not changed");
    }
  }
}
