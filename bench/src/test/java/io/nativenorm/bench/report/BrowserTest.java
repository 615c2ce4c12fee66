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
}
