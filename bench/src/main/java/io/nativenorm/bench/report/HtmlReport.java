package io.nativenorm.bench.report;

import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The report as one page that needs no other: its libraries are inside it. */
final class HtmlReport {
  private static final String ECHARTS = "/META-INF/resources/webjars/echarts/5.5.0/echarts.min.js";
  private static final String TABLESORT =
      "/META-INF/resources/webjars/tablesort/5.2.0/dist/tablesort.min.js";
  private static final String SORT_NUMBERS =
      "/META-INF/resources/webjars/tablesort/5.2.0/dist/sorts/tablesort.number.min.js";

  private HtmlReport() {}

  /** A point of a scaling plot. */
  private record Scaling(String contestant, String cell, int threads, int callers, double micros) {}

  private record Accuracy(String contestant, String cell, double mean, Double error) {}

  static String of(Figures figures) throws IOException {
    Map<String, Object> data = new LinkedHashMap<>();
    data.put("nativeNorm", Figures.NATIVE_NORM);
    data.put("environment", figures.environment());
    data.put("standings", Standing.of(figures));
    data.put("rows", Row.of(figures));
    data.put("streams", figures.streams());
    data.put("calls", scalings(figures));
    data.put("stacks", figures.stacks());
    data.put("pauses", figures.pauses());
    data.put("errors", errors(figures));
    // Within a script element, so nothing may end it; Gson escapes < and > by itself.
    String json = new GsonBuilder().serializeNulls().create().toJson(data);
    return resource("report.html")
        .replace("/*style*/", resource("report.css"))
        .replace("/*libraries*/", resource(ECHARTS) + resource(TABLESORT) + resource(SORT_NUMBERS))
        .replace("/*data*/", json)
        .replace("/*script*/", resource("report.js"));
  }

  private static List<Scaling> scalings(Figures figures) {
    return figures.calls().stream()
        .map(
            call ->
                new Scaling(
                    call.entrant().toString(),
                    call.cell().id(),
                    call.threads(),
                    call.callers(),
                    call.microseconds()))
        .toList();
  }

  private static List<Accuracy> errors(Figures figures) {
    return figures.errors().stream()
        .map(e -> new Accuracy(e.entrant().toString(), e.cell().id(), e.mean(), e.error()))
        .toList();
  }

  private static String resource(String name) throws IOException {
    try (InputStream in = HtmlReport.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
