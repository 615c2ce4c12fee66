package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import io.nativenorm.engine.LeakCheck;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Assumptions;
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

  static void assertAllocatesNothing(String what, Runnable call) {
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
  void onColumnRanges() {
    for (DataType type : new DataType[] {DataType.F32, DataType.BF16, DataType.F16}) {
      try (RmsNorm layer = RmsNorm.builder(32).backend(Backend.FUSED).build();
          Tensor matrix = Tensor.allocate(type, Layout.CHANNELS_FIRST, 4, 80);
          Tensor x = matrix.narrow(1, 0, 32);
          Tensor y = matrix.narrow(1, 40, 32);
          Tensor close = x.to(type)) {
        assertAllocatesNothing("ranges of " + type, () -> layer.forward(x, y));
        assertAllocatesNothing("in place in " + type, () -> layer.forward(x, x));
        assertAllocatesNothing("to one piece in " + type, () -> layer.forward(x, close));
        assertAllocatesNothing("from one piece in " + type, () -> layer.forward(close, y));
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

  @Test
  void onSegmentsThatCannotBeClosed() throws Exception {
    Assumptions.assumeTrue(TestArena.ARE_THERE, "there are no segments before JDK 22");
    Object segment = TestArena.of("Auto").segment(64 * Float.BYTES);
    long address = TestArena.address(segment);
    try (LayerNorm layer = LayerNorm.builder(32).backend(Backend.FUSED).build();
        Tensor x = Tensor.wrap(address, segment, DataType.F32, Layout.CHANNELS_FIRST, 2, 32)) {
      assertAllocatesNothing("segment", () -> layer.forward(x, x));
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
  void onRowsInsideHeapArrays() {
    float[] packed = TestData.normal(1, 64 * 600, 0, 1);
    float[] y = new float[packed.length];
    float[] many = TestData.normal(1, 70 * 2048, 0, 1);
    for (Backend backend : new Backend[] {Backend.AUTO, Backend.FUSED}) {
      try (RmsNorm heads = RmsNorm.builder(128).unitOffset(1).backend(backend).build();
          LayerNorm rows = LayerNorm.builder(200).backend(backend).build();
          RmsNorm large = RmsNorm.builder(2048).backend(backend).build()) {
        assertAllocatesNothing("one row", () -> rows.forward(packed, 7, y, 3, 1));
        assertAllocatesNothing("some rows", () -> rows.forward(packed, 7, packed, 7, 30));
        assertAllocatesNothing(
            "heads", () -> heads.forward(packed, 5, 600, packed, 5, 600, 3, 64 * 3 - 1));
        assertAllocatesNothing(
            "heads to others", () -> heads.forward(packed, 0, 600, y, 1, 385, 3, 64 * 3));
        assertAllocatesNothing("sections", () -> large.forward(many, 1, many, 1, 68));
        assertAllocatesNothing(
            "sections apart", () -> large.forward(many, 1, 2049, many, 1, 2049, 1, 68));
      }
    }
  }

  @Test
  void withoutALayer() {
    float[] x = TestData.normal(1, 4096, 0, 1);
    float[] y = new float[x.length];
    float[] weights = TestData.normal(2, 4096, 1, 0.5);
    FloatBuffer buffer =
        ByteBuffer.allocateDirect(4096 * Float.BYTES)
            .order(ByteOrder.nativeOrder())
            .asFloatBuffer();
    assertAllocatesNothing(
        "an array", () -> RmsNorm.normalize(x, 5, y, 9, 3, 512, weights, 100, 1e-5));
    assertAllocatesNothing(
        "a buffer", () -> RmsNorm.normalize(x, 5, x, 5, 3, 512, buffer, 100, 1e-5, 1));
    assertAllocatesNothing(
        "a bias", () -> LayerNorm.normalize(x, 5, x, 5, 3, 512, weights, 0, weights, 9, 1e-5));
    assertAllocatesNothing(
        "different calls in turns",
        () -> {
          for (int length = 128; length <= 1024; length *= 2) {
            RmsNorm.normalize(x, 0, y, 0, 1, length, weights, 100, 1e-5);
            RmsNorm.normalize(x, 0, y, 0, 3, length, weights, 100, 1e-6);
          }
        });
  }

  @Test
  void onHeapArraysThatAreCopied() {
    // A row of 72000 is more than a call may hold.
    float[] x = TestData.normal(1, 2 * 36000, 0, 1);
    float[] y = new float[x.length];
    try (RmsNorm layer = RmsNorm.builder(72000).backend(Backend.FUSED).build();
        RmsNorm alone = RmsNorm.builder(72000).backend(Backend.FUSED).threads(1).build()) {
      assertAllocatesNothing("together", () -> layer.forward(x, y));
      assertAllocatesNothing("from a place on", () -> layer.forward(x, 0, y, 0, 1));
      assertAllocatesNothing("alone", () -> alone.forward(x, y));
    }
  }
}
