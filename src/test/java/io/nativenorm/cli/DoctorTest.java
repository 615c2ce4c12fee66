package io.nativenorm.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import io.nativenorm.Backend;
import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.NativeNorm;
import io.nativenorm.SameOnAnyJvm;
import io.nativenorm.TestEngines;
import io.nativenorm.engine.Engines;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** That doctor finds every layer right, in a table and as JSON. */
class DoctorTest {
  private static final Set<String> FIELDS =
      Set.of(
          "layer",
          "input",
          "layout",
          "direction",
          "backend",
          "kernel",
          "chosen",
          "error",
          "agrees",
          "microseconds",
          "speedUp",
          "share");

  private static Checkup.Row row(Backend backend, boolean chosen, double error, double share) {
    return new Checkup.Row(
        "LayerNorm([768])",
        "2x128x768",
        Layout.CHANNELS_FIRST,
        "inference",
        backend,
        "kernel " + backend,
        chosen,
        error,
        error <= Checkup.ALLOWED,
        12.3,
        4.56,
        share);
  }

  @Test
  void theTableHasALineForEachCheck() {
    List<String> lines =
        DoctorText.table(
            List.of(
                row(Backend.FUSED, true, 1.5e-7, 0.789),
                row(Backend.ONEDNN, false, Double.POSITIVE_INFINITY, Double.NaN),
                row(Backend.JAVA, false, 0, 0.1)));
    assertEquals(4, lines.size());
    String common = "LayerNorm\\(\\[768]\\)  2x128x768  channels first  inference  ";
    for (int i = 1; i < lines.size(); i++) {
      String rest =
          List.of(
                  "kernel FUSED +takes it +1.5e-07 +12 +4.6x +0.79  ok",
                  "kernel ONEDNN +Infinity +12 +4.6x +WRONG",
                  "kernel JAVA +reference +12 +4.6x +0.10  ok")
              .get(i - 1);
      assertTrue(lines.get(i).matches(common + rest), lines.get(i));
    }
    assertTrue(lines.get(0).matches("layer +input +layout +direction +engine and kernel +AUTO .*"));
    assertEquals(
        "start with JAVA    cold   560 ms, warm    78 ms",
        DoctorText.line(new StartTimes(Backend.JAVA, 560, 78)));
  }

  @Test
  void theSummaryCountsWhatIsWrong() {
    Checkup.Row right = row(Backend.FUSED, true, 1.5e-7, 0.789);
    String summary = DoctorText.summary(List.of(right, right));
    assertTrue(
        summary.startsWith("All 2 checks agree with pure Java. The largest error is 1.5e-07"));
    assertEquals(
        "1 of 2 checks differ from pure Java.",
        DoctorText.summary(List.of(right, row(Backend.ONEDNN, false, 2e-5, 1))));
  }

  @Test
  void anAnswerOfItsOwnIsNamed() {
    OneAnswer.Row right = new OneAnswer.Row(Backend.FUSED, 3, OneAnswer.EXPECTED, true);
    OneAnswer.Row alone = new OneAnswer.Row(Backend.JAVA, 1, OneAnswer.EXPECTED, true);
    OneAnswer.Row wrong = new OneAnswer.Row(Backend.JAVA, 1, "1234", false);
    assertEquals(
        List.of(
            "One answer: "
                + OneAnswer.EXPECTED
                + " are the bits of FUSED (3 threads), JAVA (1 thread),\nas on every machine with"
                + " this version."),
        DoctorText.answers(List.of(right, alone)));
    assertEquals(
        List.of(
            "WRONG: JAVA (1 thread) has 1234",
            "Every machine should have " + OneAnswer.EXPECTED + ": docs/order-of-sums.md."),
        DoctorText.answers(List.of(right, wrong)));
    assertEquals(
        List.of("No engine here has the bits that others have: docs/order-of-sums.md."),
        DoctorText.answers(List.of()));
  }

  @Test
  void whatATypeChangesIsNamed() {
    assertEquals(
        List.of(
            "BF16 on FUSED: all 50 results are those of F32, rounded once.",
            "WRONG: F16 on JAVA: 2 of 50 results are not those of F32, rounded once."),
        DoctorText.types(
            List.of(
                new TypeCheck.Row(DataType.BF16, Backend.FUSED, 50, 0, true),
                new TypeCheck.Row(DataType.F16, Backend.JAVA, 50, 2, false))));
  }

  @Test
  void whatARangeChangesIsNamed() {
    assertEquals(
        List.of(
            "Column ranges on FUSED: all 36 results are those of tensors in one piece.",
            "WRONG: column ranges on JAVA: 2 of 36 results are not those of tensors in one piece."),
        DoctorText.ranges(
            List.of(
                new RangeCheck.Row(Backend.FUSED, 36, 0, true),
                new RangeCheck.Row(Backend.JAVA, 36, 2, false))));
  }

  @Test
  void itIsTheCommandWithoutACommandAndStopsWhenNobodyReadsIt() {
    ByteArrayOutputStream read = new ByteArrayOutputStream();
    OutputStream untilFlushed =
        new OutputStream() {
          @Override
          public void write(int b) {
            read.write(b);
          }

          @Override
          public void flush() throws IOException {
            throw new IOException("Broken pipe");
          }
        };
    assertEquals(Main.READER_GONE, Main.run(InputStream.nullInputStream(), untilFlushed));
    String text = read.toString(StandardCharsets.UTF_8);
    assertTrue(text.startsWith(NativeNorm.describe()), text);
    assertTrue(text.strip().lines().reduce((a, b) -> b).orElseThrow().startsWith("  CPU: "), text);
  }

  @Test
  @SameOnAnyJvm
  void tellsAllOfItAsJson() {
    CommandLineRun run = CommandLineRun.of("doctor", "--json");
    run.assertDone();
    JsonObject report = strictly(run.out());
    assertEquals(
        Set.of(
            "version",
            "os",
            "architecture",
            "java",
            "threads",
            "cpu",
            "description",
            "engines",
            "allowedError",
            "agrees",
            "checks",
            "oneAnswer",
            "answers",
            "types",
            "ranges",
            "starts"),
        report.keySet());
    assertTrue(report.get("agrees").getAsBoolean());
    assertEquals(System.getProperty("java.version"), report.get("java").getAsString());
    String description =
        report.getAsJsonArray("description").asList().stream()
            .map(JsonElement::getAsString)
            .collect(Collectors.joining("\n"));
    assertTrue(
        description.startsWith("NativeNorm " + report.get("version").getAsString() + " on "));
    long available = NativeNorm.engines().stream().filter(NativeNorm.EngineInfo::available).count();
    assertEquals(NativeNorm.engines().size(), report.getAsJsonArray("engines").size());
    assertEquals(available, report.getAsJsonArray("starts").size());
    // Five layers, three of them in two layouts, three directions, each engine.
    assertEquals(8 * 3 * available, report.getAsJsonArray("checks").size());
    Set<String> checked = new HashSet<>();
    long chosen = 0;
    for (JsonElement element : report.getAsJsonArray("checks")) {
      JsonObject check = element.getAsJsonObject();
      assertEquals(FIELDS, check.keySet());
      assertTrue(check.get("agrees").getAsBoolean(), check::toString);
      assertTrue(check.get("error").getAsDouble() <= report.get("allowedError").getAsDouble());
      assertTrue(check.get("microseconds").getAsDouble() > 0);
      assertEquals(TestEngines.hasFused(), check.get("share").isJsonPrimitive());
      chosen += check.get("chosen").getAsBoolean() ? 1 : 0;
      checked.add(
          check.get("layer").getAsString().replaceAll("\\(.*", "")
              + check.get("layout").getAsString()
              + check.get("direction").getAsString()
              + check.get("backend").getAsString());
    }
    assertEquals(8 * 3 * available, checked.size()); // all of them different
    assertEquals(8 * 3, chosen); // AUTO takes one engine for each
    long reproducible =
        Engines.all().stream()
            .filter(engine -> engine.unavailable().isEmpty() && engine.isReproducible())
            .mapToLong(engine -> engine.backend() == Backend.JAVA ? 1 : 3)
            .sum();
    assertEquals(reproducible, report.getAsJsonArray("answers").size());
    for (JsonElement element : report.getAsJsonArray("answers")) {
      JsonObject answer = element.getAsJsonObject();
      assertEquals(report.get("oneAnswer"), answer.get("hash"), answer::toString);
      assertTrue(answer.get("agrees").getAsBoolean(), answer::toString);
    }
    // Both types wherever there is an engine that has them; seven results, of RmsNorm two fewer.
    long typed = available - (TestEngines.named().anyMatch(Backend.ONEDNN::equals) ? 1 : 0);
    assertEquals(2 * typed, report.getAsJsonArray("types").size());
    for (JsonElement element : report.getAsJsonArray("types")) {
      JsonObject type = element.getAsJsonObject();
      assertEquals(8 * 7 - 2, type.get("results").getAsInt(), type::toString);
      assertEquals(0, type.get("different").getAsInt(), type::toString);
      assertTrue(type.get("agrees").getAsBoolean(), type::toString);
    }
    assertEquals(typed, report.getAsJsonArray("ranges").size());
    for (JsonElement element : report.getAsJsonArray("ranges")) {
      JsonObject ranges = element.getAsJsonObject();
      assertEquals(3 * (7 + 5), ranges.get("results").getAsInt(), ranges::toString);
      assertEquals(0, ranges.get("different").getAsInt(), ranges::toString);
      assertTrue(ranges.get("agrees").getAsBoolean(), ranges::toString);
    }
    for (JsonElement start : report.getAsJsonArray("starts")) {
      assertTrue(start.getAsJsonObject().get("coldMilliseconds").getAsLong() >= 10);
      assertTrue(start.getAsJsonObject().get("warmMilliseconds").getAsLong() >= 10);
    }
  }

  /** As the standard has it: Gson by itself takes NaN, comments and more. */
  private static JsonObject strictly(String text) {
    JsonReader reader = new JsonReader(new StringReader(text));
    reader.setStrictness(Strictness.STRICT);
    return new Gson().fromJson(reader, JsonObject.class);
  }
}
