# SPDX-License-Identifier: Apache-2.0
# Fit the data sets of tests/stats/mixed_data.py with lmerTest and print what it finds as JSON:
#
#   python -m tests.stats.mixed_data > data.csv
#   Rscript tests/stats/make_lmertest_expected.R data.csv > tests/stats/lmertest_expected.json
#
# Needs R with lmerTest (Debian: r-cran-lmertest); takes about a minute.
suppressMessages(library(lmerTest))
data <- read.csv(commandArgs(trailingOnly = TRUE)[1])

# The default optimiser stops up to 1e-5 beside the minimum, in relation to the standard errors; this one, 1e-7.
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-11))

text <- function(values) paste0("[", paste(sprintf("%.10g", values), collapse = ","), "]")

fit_one <- function(index) {
  rows <- data[data$set == index, ]
  columns <- grep("^c[0-9]+$", names(rows), value = TRUE)
  columns <- columns[!is.na(rows[1, columns])]
  formula <- as.formula(paste("y ~ 0 +", paste(columns, collapse = " + "), "+ (1 | group)"))
  fit <- suppressWarnings(suppressMessages(lmer(formula, rows, REML = TRUE, control = control)))
  full <- suppressWarnings(suppressMessages(lmer(formula, rows, REML = FALSE, control = control)))
  table <- coef(summary(fit, ddf = "Satterthwaite"))
  count <- length(columns)
  # The sum of the second and the last column, as for the slope of the second group, and all but the first together.
  weights <- rep(0, count)
  weights[c(2, count)] <- 1
  contrast <- contest1D(fit, weights, ddf = "Satterthwaite")
  joint <- contestMD(fit, diag(count)[-1, , drop = FALSE], ddf = "Satterthwaite")
  parts <- c(
    estimate = text(table[, "Estimate"]), se = text(table[, "Std. Error"]),
    df = text(table[, "df"]), p = text(table[, "Pr(>|t|)"]),
    contrast = text(unlist(contrast[c("Estimate", "Std. Error", "df", "Pr(>|t|)")])),
    joint = text(unlist(joint[c("F value", "NumDF", "DenDF", "Pr(>F)")])),
    sigma = sprintf("%.10g", sigma(fit)), theta = sprintf("%.10g", getME(fit, "theta")),
    singular = if (isSingular(fit)) "true" else "false",
    log_likelihood = sprintf("%.10g", as.numeric(logLik(fit))),
    ml = text(c(as.numeric(logLik(full)), sigma(full), getME(full, "theta"), coef(summary(full))[count, 1:3])),
    mean = sprintf("%.15g", mean(rows$y)), n = nrow(rows)
  )
  paste0("{", paste0("\"", names(parts), "\":", parts, collapse = ","), "}")
}

versions <- c(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")),
              lmerTest = as.character(packageVersion("lmerTest")))
cat("{\"made_by\":\"tests/stats/make_lmertest_expected.R\",\"versions\":{",
    paste0("\"", names(versions), "\":\"", versions, "\"", collapse = ","), "},\"sets\":[\n", sep = "")
cat(vapply(sort(unique(data$set)), fit_one, ""), sep = ",\n")
cat("\n]}\n")
