package io.nativenorm.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.logging.Level;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openqa.selenium.By;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.chrome.ChromeDriverService;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.logging.LogType;
import org.openqa.selenium.logging.LoggingPreferences;

/** The page in headless Chromium, wide and as on a phone, light and dark, without a network. */
class BrowserTest {
  private static final Path CHROMIUM = Path.of("/usr/bin/chromium");
  private static final Path DRIVER = Path.of("/usr/bin/chromedriver");

  @TempDir static Path folder;
  private static ChromeDriver browser;

  @BeforeAll
  static void start() {
    boolean found = Files.isExecutable(CHROMIUM) && Files.isExecutable(DRIVER);
    if (!found) {
      System.err.println(
          "THE REPORT'S PAGE IS NOT TESTED: apt-get install chromium chromium-driver");
    }
    assumeTrue(found, "no " + CHROMIUM + " or no " + DRIVER);
    ChromeOptions options = new ChromeOptions();
    options.setBinary(CHROMIUM.toFile());
    options.addArguments(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--user-data-dir=" + folder.resolve("profile"));
    LoggingPreferences logs = new LoggingPreferences();
    logs.enable(LogType.BROWSER, Level.ALL);
    options.setCapability("goog:loggingPrefs", logs);
    browser =
        new ChromeDriver(
            new ChromeDriverService.Builder().usingDriverExecutable(DRIVER.toFile()).build(),
            options);
    browser.manage().timeouts().pageLoadTimeout(Duration.ofSeconds(30));
    browser.executeCdpCommand("Network.enable", Map.of());
    browser.executeCdpCommand(
        "Network.emulateNetworkConditions",
        Map.of("offline", true, "latency", 0, "downloadThroughput", 0, "uploadThroughput", 0));
  }

  @BeforeEach
  void open() throws IOException {
    Path page = folder.resolve("report.html");
    Files.writeString(page, HtmlReport.of(Figures.read(ReportTest.SAMPLE)));
    browser.get(page.toUri().toString());
  }

  @AfterAll
  static void close() {
    if (browser != null) {
      browser.quit();
    }
  }

  private void size(int width, boolean dark) {
    browser.executeCdpCommand(
        "Emulation.setDeviceMetricsOverride",
        Map.of("width", width, "height", 900, "deviceScaleFactor", 1, "mobile", width < 600));
    browser.executeCdpCommand(
        "Emulation.setEmulatedMedia",
        Map.of(
            "features",
            List.of(Map.of("name", "prefers-color-scheme", "value", dark ? "dark" : "light"))));
  }

  @Test
  void itShowsTheFiguresWithoutAnErrorAtEveryWidthAndInBothSchemes() {
    for (int width : List.of(1280, 390)) {
      for (boolean dark : List.of(false, true)) {
        size(width, dark);
        long wide = (Long) browser.executeScript("return document.body.scrollWidth");
        assertTrue(wide <= width, () -> "the page is " + wide + " wide on " + width);
        for (String plot : List.of("roofline", "accuracy", "threads", "callers")) {
          List<WebElement> drawn = browser.findElements(By.cssSelector("#" + plot + " svg path"));
          assertFalse(drawn.isEmpty(), plot);
        }
        String ground =
            (String)
                browser.executeScript("return getComputedStyle(document.body).backgroundColor");
        assertEquals(dark, ground.startsWith("rgb(20"), ground);
      }
    }
    assertEquals("", String.join("\n", errors()));
  }

  private List<String> errors() {
    return browser.manage().logs().get(LogType.BROWSER).getAll().stream()
        .map(Object::toString)
        .toList();
  }

  @Test
  void theTableSortsAndFilters() {
    size(1280, false);
    assertEquals("NativeNorm AUTO", contestants().get(0));
    WebElement time =
        browser.findElements(By.cssSelector("#figures th")).stream()
            .filter(head -> head.getText().startsWith("µs"))
            .findFirst()
            .orElseThrow();
    time.click();
    String first = contestants().get(0);
    time.click();
    assertEquals(
        List.of("NativeNorm AUTO", "PyTorch"),
        List.of(first, contestants().get(0)).stream().sorted().toList());
    browser.findElement(By.id("filter")).sendKeys("pytorch inference");
    assertEquals(List.of("PyTorch"), contestants());
  }

  private List<String> contestants() {
    return browser.findElements(By.cssSelector("#figures tbody tr")).stream()
        .filter(WebElement::isDisplayed)
        .map(row -> row.findElements(By.tagName("td")).get(1).getText())
        .toList();
  }

  @Test
  void theDirectionCanBeChosen() {
    size(1280, false);
    assertTrue(browser.findElement(By.id("bars")).getText().contains("10 µs"));
    browser.findElements(By.cssSelector("#directions button")).get(1).click();
    assertTrue(browser.findElement(By.id("bars")).getText().contains("11 µs"));
  }

  @Test
  void everyNameOfALegendIsThereAtOnce() {
    for (int width : List.of(1280, 390)) {
      size(width, false);
      for (String plot : List.of("roofline", "accuracy")) {
        List<String> wanted = contestantsOf("standings", 0);
        // At once: a change of the scheme draws legends anew.
        Object shown =
            browser.executeScript(
                """
                return [...document.querySelectorAll(arguments[0])].filter((name) => {
                  const place = name.getBoundingClientRect();
                  return place.height > 0 && place.left >= 0 && place.right <= innerWidth;
                }).map((name) => name.textContent);
                """,
                "#" + plot + "-legend button");
        assertTrue(((List<?>) shown).containsAll(wanted), plot + " shows " + shown);
      }
    }
    assertEquals(
        0L,
        browser.executeScript(
            "return [...charts.values()].filter("
                + "chart => chart.getOption().legend.some(legend => legend.type === 'scroll')).length"));
  }

  private List<String> contestantsOf(String table, int column) {
    return browser.findElements(By.cssSelector("#" + table + " tbody tr")).stream()
        .map(row -> row.findElements(By.tagName("td")).get(column).getText())
        .toList();
  }

  @Test
  void aClickOnANameHidesItsSeries() {
    size(1280, false);
    WebElement name = browser.findElements(By.cssSelector("#accuracy-legend button")).get(0);
    String series = name.getText();
    name.click();
    assertEquals("false", name.getAttribute("aria-pressed"));
    assertEquals(
        false,
        browser.executeScript(
            "return charts.get('accuracy').getOption().legend[0].selected[arguments[0]]", series));
  }

  /** No figure is beyond the edge, too small, or without its heading. */
  @Test
  void theTablesAreReadOnAPhoneWithoutMovingThem() {
    size(390, false);
    for (String table : List.of("standings", "figures", "stacks", "pauses")) {
      String outside =
          (String)
              browser.executeScript(
                  """
                  const table = document.getElementById(arguments[0]);
                  const scroll = table.parentElement;
                  if (scroll.scrollWidth > scroll.clientWidth) {
                    return `${scroll.scrollWidth} wide in ${scroll.clientWidth}`;
                  }
                  for (const cell of table.querySelectorAll('tbody td')) {
                    const figure = cell.firstElementChild;
                    const place = figure.getBoundingClientRect();
                    const size = parseFloat(getComputedStyle(figure).fontSize);
                    if (place.left < 0 || place.right > innerWidth || size < 12) {
                      return `${cell.textContent} at ${place.left} to ${place.right}, ${size} px`;
                    }
                    const heading = getComputedStyle(cell, '::before').content;
                    if (cell.cellIndex > 0 && heading !== `"${cell.dataset.heading}"`) {
                      return `${cell.textContent} has the heading ${heading}`;
                    }
                  }
                  return '';
                  """,
                  table);
      assertEquals("", outside, table);
    }
    browser.findElement(By.id("filter")).sendKeys("pytorch inference");
    assertEquals(List.of("PyTorch"), contestants());
  }

  @Test
  void aPlaceOnTheAxisIsTheSameTimeInEveryChartAndHasTicks() {
    for (int width : List.of(1280, 390)) {
      size(width, false);
      for (WebElement chart : browser.findElements(By.cssSelector("#bars .chart"))) {
        List<String> texts =
            chart.findElements(By.cssSelector("svg text")).stream()
                .map(text -> text.getAttribute("textContent"))
                .toList();
        assertTrue(texts.containsAll(List.of("1×", "10×")), texts.toString());
        double three = ((Number) place(chart, 3)).doubleValue();
        assertEquals(Math.log10(3), three, 0.01, texts.toString());
      }
    }
  }

  /** Where a ratio lies between 1 and 10 on a chart's axis. */
  private Object place(WebElement chart, double ratio) {
    return browser.executeScript(
        """
        const x = (ratio) => charts.get(arguments[0]).convertToPixel({xAxisIndex: 0}, ratio);
        return (x(arguments[1]) - x(1)) / (x(10) - x(1));
        """,
        chart.getAttribute("id"),
        ratio);
  }

  @Test
  void whatATightLoopHidesIsThereWhereItWasMeasured() throws IOException {
    size(1280, false);
    String program = browser.findElement(By.id("program")).getText();
    assertTrue(program.contains("1.7 ×") && program.contains("after 2000 us"), program);
    Path page = folder.resolve("without.html");
    Path without = Path.of("results/20261127T191953-AMD-EPYC.json");
    Files.writeString(page, HtmlReport.of(Figures.read(without)));
    browser.get(page.toUri().toString());
    assertFalse(browser.findElement(By.id("program")).isDisplayed());
  }

  /** On a light page and on a dark one, with a ground that is as the page. */
  @Test
  void thePictureIsReadInBothSchemes() throws IOException {
    Path picture = folder.resolve("picture.svg");
    Files.writeString(picture, FiguresSection.picture(Figures.read(ReportTest.SAMPLE)));
    browser.get(picture.toUri().toString());
    for (boolean dark : List.of(false, true)) {
      size(800, dark);
      double ground = luminance("rect", 0);
      assertEquals(dark, ground < 0.1, "the ground's luminance is " + ground);
      int count = browser.findElements(By.cssSelector("text")).size();
      for (int i = 0; i < count; i++) {
        double text = luminance("text", i);
        double contrast = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
        assertTrue(contrast >= 4.5, "text " + i + " has a contrast of " + contrast);
      }
      assertEquals(
          "",
          browser.executeScript(
              """
              return [...document.querySelectorAll('text')].map((text) => text.getBBox())
                .filter((box) => box.x < 0 || box.x + box.width > 760).map((box) => box.x).join();
              """));
    }
  }

  /** As WCAG counts it, of an element's fill. */
  private double luminance(String element, int index) {
    return ((Number)
            browser.executeScript(
                """
                const fill = getComputedStyle(document.querySelectorAll(arguments[0])[arguments[1]]).fill;
                const [r, g, b] = fill.match(/[0-9.]+/g).map((part) => part / 255)
                  .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                """,
                element,
                index))
        .doubleValue();
  }
}
