package io.nativenorm.engine.fused;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import io.nativenorm.Backend;
import io.nativenorm.BatchNorm;
import io.nativenorm.Gradients;
import io.nativenorm.JavaProcess;
import io.nativenorm.LayerBuilder;
import io.nativenorm.LayerNorm;
import io.nativenorm.NativeNorm;
import io.nativenorm.NativeNormException;
import io.nativenorm.NormLayer;
import io.nativenorm.Pass;
import io.nativenorm.SameOnAnyJvm;
import io.nativenorm.Tensor;
import io.nativenorm.TestEngines;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * Each request for memory or a thread that the library makes is refused once, as the native tests
 * do it, but from Java: a call that failed says so, one that did without has the same bits, and
 * afterwards layers work as before.
 */
@EnabledOnOs(OS.LINUX)
@SameOnAnyJvm
class RefusedMemoryTest {
  private static final String VARIABLE = "NATIVENORM_REFUSE";

  @TempDir Path folder;

  /** Prints how many requests were refused, and how many of the calls failed. */
  static final class Calls {
    private static final int THREADS = 4;
    private static final int UNTIL = 0;
    private static final int REFUSED = 8;

    private final MappedByteBuffer shared;
    private int failed;

    private Calls(MappedByteBuffer shared) {
      this.shared = shared;
      shared.order(ByteOrder.nativeOrder());
    }

    public static void main(String[] args) throws IOException {
      NativeNorm.describe(); // loads the libraries
      StandardOpenOption[] options = {StandardOpenOption.READ, StandardOpenOption.WRITE};
      try (FileChannel file = FileChannel.open(Path.of(System.getenv(VARIABLE)), options)) {
        Calls calls = new Calls(file.map(FileChannel.MapMode.READ_WRITE, 0, 16));
        calls.refuseEach(LayerNorm.builder(3000), 70, 3000);
        calls.refuseEach(BatchNorm.builder(8), 4, 8, 5000);
        System.out.println("refused " + calls.shared.getLong(REFUSED) + " failed " + calls.failed);
      }
    }

    private void refuseEach(LayerBuilder<?> builder, long... shape) {
      builder.backend(Backend.FUSED).threads(THREADS);
      float[] x = new float[Math.toIntExact(Arrays.stream(shape).reduce(1, (a, b) -> a * b))];
      Random random = new Random(1);
      for (int i = 0; i < x.length; i++) {
        x[i] = (float) random.nextGaussian();
      }
      boolean refused;
      long n = 0;
      do {
        builder.eps(1e-5 + 1e-7 * n); // a problem that nothing was prepared for
        long before = shared.getLong(REFUSED);
        float[] results = refuse(n, builder, x, shape);
        refused = shared.getLong(REFUSED) > before;
        float[] expected = results(builder, x, shape);
        if (results != null && !Arrays.equals(expected, results)) {
          throw new AssertionError("request " + n + " refused: the results are others");
        }
        n++;
      } while (refused);
    }

    /** What came out; null of a failure. The workers start anew, by the first call that has any. */
    private float[] refuse(long n, LayerBuilder<?> builder, float[] x, long[] shape) {
      NativeKernels.setWorkers(0);
      shared.putLong(UNTIL, n);
      try {
        NativeKernels.setWorkers(THREADS - 1);
        return results(builder, x, shape);
      } catch (NativeNormException e) {
        failed++;
        return null;
      } finally {
        shared.putLong(UNTIL, -1);
        NativeKernels.setWorkers(THREADS - 1);
      }
    }

    private static float[] results(LayerBuilder<?> builder, float[] x, long[] shape) {
      try (NormLayer layer = builder.build();
          Tensor input = Tensor.of(x, shape);
          Tensor y = layer.forward(input);
          Pass pass = layer.forwardTraining(input);
          Gradients gradients = pass.backward(y)) {
        float[] all = Arrays.copyOf(y.toArray(), 3 * x.length);
        System.arraycopy(pass.output().toArray(), 0, all, x.length, x.length);
        System.arraycopy(gradients.input().toArray(), 0, all, 2 * x.length, x.length);
        return all;
      }
    }
  }

  @Test
  void eachRequestInTurn() throws Exception {
    TestEngines.assumeFused();
    Path library = compiled();
    Path shared = Files.write(folder.resolve("shared"), new byte[16]);
    try (FileChannel file = FileChannel.open(shared, StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.allocate(8).order(ByteOrder.nativeOrder()).putLong(-1).flip());
    }
    Map<String, String> environment =
        Map.of("LD_PRELOAD", library.toString(), VARIABLE, shared.toString());
    JavaProcess process =
        JavaProcess.run(Calls.class, environment, "-XX:ActiveProcessorCount=" + Calls.THREADS);
    assertEquals(0, process.status(), process.output());
    Matcher counts = Pattern.compile("refused (\\d+) failed (\\d+)").matcher(process.output());
    assertTrue(counts.find(), process.output());
    // Preparing, scratch memory, and for each of three workers the thread and what it runs.
    assertTrue(Integer.parseInt(counts.group(1)) >= 2 * 3 * 2, process.output());
    assertTrue(Integer.parseInt(counts.group(2)) >= 2, process.output());
  }

  /**
   * What is preloaded. A jar with FUSED may be tested where there is no compiler: then this is not,
   * and that is said; but not where FUSED is required, as by whoever builds it.
   */
  private Path compiled() throws Exception {
    Path source = folder.resolve("refuse.c");
    try (InputStream in = getClass().getResourceAsStream("refuse.c")) {
      Files.copy(Objects.requireNonNull(in), source);
    }
    Path library = folder.resolve("librefuse.so");
    List<String> command =
        List.of("g++", "-x", "c", "-O1", "-shared", "-fPIC", "-o", library.toString());
    List<String> all = new ArrayList<>(command);
    all.addAll(List.of(source.toString(), "-ldl"));
    try {
      JavaProcess process = JavaProcess.run(all, Map.of());
      assertEquals(0, process.status(), process.output());
    } catch (IOException e) {
      assertFalse(System.getProperty("nativenorm.require", "").contains("fused"), e::toString);
      abort("NOT TESTED, there is no compiler: " + e);
    }
    return library;
  }
}
