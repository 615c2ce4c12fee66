package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.nativenorm.engine.NativeAccess;
import io.nativenorm.engine.memory.MemoryPool;
import java.util.Map;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Idle memory of the pool makes no allocation fail. */
@SameOnAnyJvm
class PoolLimitsTest {
  private static final int CALLS = 40;

  /** A second and more is what JavaCPP takes until it fails. */
  private static final long SLOW_NANOSECONDS = 1_000_000_000;

  @BeforeAll
  static void hasPointers() {
    assumeTrue(NativeAccess.missing().isEmpty(), "JavaCPP's limits are JavaCPP's");
  }

  /** Leaves this many tensors of 4 MB, then normalizes heap arrays of some 6 MB. */
  static final class BesideIdleMemory {
    public static void main(String[] args) {
      int idle = Integer.parseInt(System.getProperty("idle"));
      IntStream.range(0, idle).mapToObj(i -> Tensor.zeros(1 << 20)).toList().forEach(Tensor::close);
      int failed = 0;
      int slow = 0;
      try (LayerNorm layer = LayerNorm.of(768)) {
        for (int i = 0; i < CALLS; i++) {
          long start = System.nanoTime();
          try {
            layer.forward(new float[768 * (1950 + i)]);
          } catch (OutOfMemoryError e) {
            failed++;
          }
          if (System.nanoTime() - start > SLOW_NANOSECONDS) {
            slow++;
          }
        }
      }
      System.out.println(
          "\n" + failed + " failed, " + (slow < CALLS / 4 ? "few slow" : slow + " slow"));
    }
  }

  /**
   * The process takes 33 to 90 MB beside what is idle, as far as its heap has grown, which counts
   * too.
   */
  @ParameterizedTest
  @CsvSource({
    "15, -Xmx64m",
    "28, -Xmx64m -Dorg.bytedeco.javacpp.maxBytes=1g -Dorg.bytedeco.javacpp.maxPhysicalBytes=140m",
    "16, -Xmx1g -Dorg.bytedeco.javacpp.maxBytes=68m"
  })
  void itIsGivenBackBeforeAnythingFails(int idle, String limits) throws Exception {
    String[] options = (limits + " -Didle=" + idle).split(" ");
    JavaProcess process = JavaProcess.run(BesideIdleMemory.class, Map.of(), options);
    assertEnd("\n0 failed, few slow\n", process);
  }

  /** Leaves 200 MB, as a burst of work does, and tells what becomes of them. */
  static final class AfterABurst {
    public static void main(String[] args) throws InterruptedException {
      Tensor.zeros(1).close();
      System.gc();
      long before = Pointer.physicalBytes();
      IntStream.range(0, 20).mapToObj(i -> Tensor.zeros(2_600_000)).toList().forEach(Tensor::close);
      long kept = MemoryPool.keptBytes();
      long end = System.nanoTime() + 10_000_000_000L;
      while (threads() > 0 && System.nanoTime() < end) {
        Thread.sleep(100);
      }
      System.out.println(kept > 200_000_000 ? "\nkept" : "kept only " + kept);
      System.out.println(threads() + " threads");
      long left = MemoryPool.keptBytes();
      long resident = Pointer.physicalBytes() - before;
      System.out.println(Math.max(left, resident) < 16 << 20 ? "gone" : left + ", " + resident);
    }

    private static long threads() {
      return Thread.getAllStackTraces().keySet().stream()
          .filter(thread -> thread.getName().startsWith("NativeNorm"))
          .count();
    }
  }

  @Test
  void whatABurstLeavesIsKeptForSecondsOnly() throws Exception {
    JavaProcess process = JavaProcess.run(AfterABurst.class, Map.of(), "-Xmx1g");
    assertEnd("\nkept\n0 threads\ngone\n", process);
  }

  /** Newer JDKs also print warnings about native access. */
  private static void assertEnd(String expected, JavaProcess process) {
    assertTrue(process.output().endsWith(expected), process.output());
  }

  /** Says what it may keep. */
  static final class Bound {
    public static void main(String[] args) {
      NativeNorm.engines(); // what one looks for leaves memory, too
      MemoryPool.giveBack(Long.MAX_VALUE);
      Tensor.zeros(1 << 18).close();
      System.out.println(NativeNorm.describe());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "-Dnativenorm.pool=3m, -Dx=, 1.0 MB of at most 3.0 MB",
    "-Dnativenorm.pool=0, -Dx=, 0.0 MB of at most 0.0 MB",
    "-Dnativenorm.pool=1g, -Dx=, 1.0 MB of at most 128.0 MB",
    "-Dx=, -Dorg.bytedeco.javacpp.maxBytes=100m, 1.0 MB of at most 50.0 MB",
    "-Dx=, -Dorg.bytedeco.javacpp.maxPhysicalBytes=220m, 1.0 MB of at most 55.0 MB"
  })
  void theBoundIsAShareOfTheLimitsOrLess(String property, String limit, String says)
      throws Exception {
    JavaProcess process =
        JavaProcess.run(Bound.class, Map.of(), "-Xmx256m", "-XX:+UseG1GC", property, limit);
    String line = "\n  memory kept for the next tensors: " + says + "\n";
    assertTrue(process.output().contains(line), process.output());
  }

  @Test
  void aStackOfLayersTakesItsMemoryFromThePool() {
    NormLayer[] layers = new NormLayer[12];
    try (Tensor x = Tensor.zeros(32, 128, 768)) { // 12 MB
      for (int i = 0; i < layers.length; i++) {
        layers[i] = LayerNorm.of(768);
      }
      step(layers, x);
      long before = Pointer.totalCount();
      step(layers, x);
      step(layers, x);
      assertTrue(Pointer.totalCount() <= before); // what nobody uses may be collected meanwhile
    } finally {
      for (NormLayer layer : layers) {
        layer.close();
      }
    }
  }

  /** Forward through all of them and back. */
  private static void step(NormLayer[] layers, Tensor x) {
    Pass[] passes = new Pass[layers.length];
    Tensor y = x;
    for (int i = 0; i < layers.length; i++) {
      passes[i] = layers[i].forwardTraining(y);
      y = passes[i].output();
    }
    Gradients gradients = passes[layers.length - 1].backward(x);
    for (int i = layers.length - 2; i >= 0; i--) {
      Gradients next = passes[i].backward(gradients.input());
      gradients.close();
      passes[i + 1].close();
      gradients = next;
    }
    gradients.close();
    passes[0].close();
  }
}
