package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import io.nativenorm.engine.LeakCheck;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Once warm, inference on the fused kernels allocates nothing, neither on the heap nor beside. */
class AllocationTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final int CALLS = 10_000;

  /** The compiler may allocate in a thread's name when it throws compiled code away. */
  private static final int ROUNDS = 4;

  @BeforeAll
  static void isThere() {
    TestEngines.assumeFused();
  }

  static List<LayerCase> cases() {
    List<LayerCase> cases = new ArrayList<>();
    for (LayerCase.Kind kind : LayerCase.Kind.values()) {
      for (Layout layout : Layout.values()) {
        cases.add(new LayerCase(kind, layout, Backend.FUSED, 2, 8, 3, 5));
      }
    }
    return cases;
  }

  private static void assertAllocatesNothing(String what, Runnable call) {
    repeat(call);
    long bytes = Long.MAX_VALUE;
    long beside = Long.MAX_VALUE;
    for (int round = 0; round < ROUNDS && (bytes != 0 || beside != 0); round++) {
      long nativeBefore = LeakCheck.inUse();
      long before = THREADS.getCurrentThreadAllocatedBytes();
      repeat(call);
      bytes = THREADS.getCurrentThreadAllocatedBytes() - before;
      beside = LeakCheck.inUse() - nativeBefore;
    }
    assertEquals(0, bytes, what + ": bytes on the heap in " + CALLS + " calls");
    assertEquals(0, beside, what + ": bytes outside the heap in " + CALLS + " calls");
  }

  private static void repeat(Runnable call) {
    for (int i = 0; i < CALLS; i++) {
      call.run();
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void onTensors(LayerCase c) {
    try (NormLayer layer = c.layer();
        Tensor x = c.tensor(c.x());
        Tensor y = c.tensor(c.x())) {
      assertAllocatesNothing(c.toString(), () -> layer.forward(x, y));
      assertAllocatesNothing(c + " in place", () -> layer.forward(y, y));
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void onTensorsOf16Bits(LayerCase c) {
    for (DataType type : new DataType[] {DataType.BF16, DataType.F16}) {
      try (NormLayer layer = c.layer();
          Tensor wide = c.tensor(c.x());
          Tensor x = wide.to(type);
          Tensor y = wide.to(type)) {
        assertAllocatesNothing(c + " in " + type, () -> layer.forward(x, y));
        assertAllocatesNothing(c + " in place in " + type, () -> layer.forward(y, y));
        assertAllocatesNothing(c + " to " + type, () -> layer.forward(wide, y));
        assertAllocatesNothing(c + " from " + type, () -> layer.forward(x, wide));
      }
    }
  }

  @Test
  void onWrappedMemory() {
    ByteBuffer bytes = ByteBuffer.allocateDirect(64 * Float.BYTES).order(ByteOrder.nativeOrder());
    try (LayerNorm layer = LayerNorm.builder(32).backend(Backend.FUSED).build();
        Tensor onBuffer = Tensor.wrap(bytes.asFloatBuffer(), 2, 32);
        FloatPointer memory = new FloatPointer(64);
        Tensor onPointer = Tensor.wrap(memory, DataType.F32, Layout.CHANNELS_FIRST, 2, 32)) {
      assertAllocatesNothing("buffer", () -> layer.forward(onBuffer, onBuffer));
      assertAllocatesNothing("pointer", () -> layer.forward(onBuffer, onPointer));
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void onHeapArrays(LayerCase c) {
    if (c.layout() == Layout.CHANNELS_LAST) {
      return; // heap arrays are channels first
    }
    float[] x = c.x();
    float[] y = new float[x.length];
    try (NormLayer layer = c.layer()) {
      assertAllocatesNothing(c.toString(), () -> layer.forward(x, y, c.shape()));
      assertAllocatesNothing(c + " in place", () -> layer.forward(y, y, c.shape()));
      if (c.kind().isRows()) {
        assertAllocatesNothing(c + " without a shape", () -> layer.forward(x, y));
      }
    }
  }

  @Test
  void onHeapArraysThatAreCopied() {
    // 18 rows of 4096 are more than a call may hold.
    float[] x = TestData.normal(1, 18 * 4096, 0, 1);
    float[] y = new float[x.length];
    try (RmsNorm layer = RmsNorm.builder(4096).backend(Backend.FUSED).build();
        RmsNorm alone = RmsNorm.builder(4096).backend(Backend.FUSED).threads(1).build()) {
      assertAllocatesNothing("together", () -> layer.forward(x, y));
      assertAllocatesNothing("alone", () -> alone.forward(x, y));
    }
  }
}
