package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What Java Flight Recorder has of calls, plans and memory; and that nothing is touched without.
 */
class RecordingsTest {
  private static final long BLOCK = 64;

  @TempDir private static Path folder;

  @BeforeAll
  static void record() throws Exception {
    TestEngines.assumeFused();
    JavaProcess program =
        JavaProcess.run(
            RecordedProgram.class, Map.of(), "-Dfolder=" + folder, "-Dnativenorm.pool=1m");
    assertEquals(0, program.status(), program.output());
  }

  private static List<RecordedEvent> events(String file, String name) throws Exception {
    return RecordingFile.readAllEvents(folder.resolve(file + ".jfr")).stream()
        .filter(event -> event.getEventType().getName().equals(RecordedProgram.PREFIX + name))
        .sorted(Comparator.comparing(RecordedEvent::getEndTime)) // a file has them in any order
        .collect(Collectors.toList());
  }

  private static String call(RecordedEvent event) {
    String kernel = event.getString("plan");
    return String.join(
        ", ",
        event.getString("layer"),
        event.getString("task") + " " + event.getString("types") + " " + event.getString("shape"),
        kernel.split(" ")[0],
        event.getInt("threads") + (event.getBoolean("copied") ? ", copied" : ""));
  }

  @Test
  void everyCallThatTakesTheThresholdOrLonger() throws Exception {
    List<RecordedEvent> calls = events("calls", "SlowCall");
    assertEquals(
        List.of(
            "LayerNorm([100]), infer F32 6x100, fused, 2",
            "LayerNorm([100]), infer BF16 6x100, fused, 2",
            "LayerNorm([3, 10, 10]), infer F32 2x300, fused, 2, copied",
            "LayerNorm([100]), infer F32 6x100, fused, 2",
            "LayerNorm([100]), infer F32 6x100, reference, 1, copied",
            "LayerNorm([100]), infer F32 5x100, fused, 2",
            "LayerNorm([100]), infer F32 2x100 (1 rows together, strides 300 and 300), fused, 2",
            "LayerNorm([100]), infer F32 4x100, reference, 1, copied",
            "RmsNorm.normalize, infer F32 3x100, fused, 2",
            "RmsNorm.normalize, infer F32 2x100, fused, 2",
            "BatchNorm(3), train F32 CHANNELS_FIRST 2x3x100, fused, 2",
            "BatchNorm(3), backward F32 CHANNELS_FIRST 2x3x100, fused, 2",
            "LayerNorm([100]), train F32 6x100, reference, 1, copied",
            "LayerNorm([100]), backward F32 6x100, reference, 1, copied",
            "LayerNorm([3, 10, 10]), train F32 2x300, fused, 2, copied",
            "LayerNorm([3, 10, 10]), backward F32 2x300, fused, 2, copied",
            "BatchNorm(3), infer F32 CHANNELS_FIRST 2x3x100, fused, 2"),
        calls.stream().map(RecordingsTest::call).toList());
    for (RecordedEvent event : calls) {
      assertTrue(event.getDuration().toNanos() > 0, event.toString());
      assertEquals(
          "calls",
          event.getStackTrace().getFrames().stream()
              .map(frame -> frame.getMethod().getName())
              .filter("calls"::equals)
              .findFirst()
              .orElse("nowhere"));
    }
    assertEquals(600, calls.get(0).getLong("elements"));
  }

  @Test
  void noCallThatIsFasterThanTheThreshold() throws Exception {
    List<RecordedEvent> slow = events("samples", "SlowCall");
    slow.forEach(event -> assertTrue(event.getDuration().compareTo(Duration.ofMillis(10)) >= 0));
    assertTrue(slow.size() < 10, slow.size() + " calls of one row took 10 ms");
  }

  @Test
  void aSampleOfCallsByTheClock() throws Exception {
    List<RecordedEvent> samples = events("samples", "CallSample");
    int most = RecordedProgram.SAMPLED_MILLISECONDS / 20 + 1;
    assertTrue(
        samples.size() >= 3 && samples.size() <= most, samples.size() + " samples in 300 ms");
    samples.forEach(
        event -> assertEquals("LayerNorm([64]), infer F32 1x64, fused, 1", call(event)));
  }

  @Test
  void plansThatAreMade() throws Exception {
    List<RecordedEvent> plans = events("plans", "PlanPrepared");
    // The second round meets none that is still kept, but for its repeated last one.
    assertEquals(2 * RecordedProgram.PLANS, plans.size());
    RecordedEvent first = plans.get(0);
    assertEquals("rms infer F32 300x2", first.getString("problem"));
    assertEquals("JAVA", first.getString("backend"));
    assertEquals("reference", first.getString("plan"));
    assertEquals(1, first.getInt("threads"));
    assertFalse(first.getBoolean("evicted"));
    RecordedEvent last = plans.get(plans.size() - 1);
    assertEquals(256, last.getInt("plans"));
    assertTrue(last.getBoolean("evicted"));
  }

  @Test
  void memoryFromTheSystemAndBackToIt() throws Exception {
    List<RecordedEvent> allocated = events("memory", "MemoryAllocated");
    assertEquals(
        List.of(RecordedProgram.LARGE * 4L + BLOCK),
        allocated.stream().map(e -> e.getLong("bytes")).filter(b -> b > 1 << 20).toList());
    // One large, at most one small, and two that do not fit together.
    assertTrue(allocated.size() >= 3 && allocated.size() <= 4, allocated.toString());
    assertEquals(1 << 20, allocated.get(0).getLong("bound"));
    List<RecordedEvent> freed = events("memory", "MemoryFreed");
    assertEquals("too large to be kept", freed.get(0).getString("reason"));
    assertEquals(RecordedProgram.LARGE * 4L + BLOCK, freed.get(0).getLong("bytes"));
    assertTrue(
        freed.stream().anyMatch(e -> e.getString("reason").equals("more than may be kept")),
        freed.toString());
    assertTrue(
        freed.stream().flatMapToLong(e -> LongStream.of(e.getLong("kept"))).max().orElse(0)
            <= 1 << 20);
  }

  @Test
  void withoutTheModuleAProgramWorksAsEver() throws Exception {
    JavaProcess program =
        JavaProcess.run(
            Rows.class, Map.of(), "--limit-modules", "java.se,jdk.unsupported", "-verbose:class");
    assertEquals(0, program.status(), program.output());
    assertTrue(program.output().contains("inference: FUSED"), program.output());
    assertFalse(program.output().contains(" jdk.jfr."), "the module is there after all");
  }

  @Test
  void noClassOfAnEventIsTouchedWithoutARecording() throws Exception {
    JavaProcess program = JavaProcess.run(Rows.class, Map.of(), "-verbose:class");
    assertEquals(0, program.status(), program.output());
    for (String each : List.of("engine.SlowCall", "engine.PlanPrepared", "MemoryAllocated")) {
      assertFalse(program.output().contains(each), each);
    }
  }
}
