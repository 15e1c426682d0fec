-- What customers owe, by how long it has been due.
--
--   st-export query "$(cat configs/recipes/unpaid-invoices-by-age.sql)"
--
-- Reads accounting.invoices. The due date is the invoice's own, else its date. Credits (a negative balance) are left out: they are
-- money that the company owes. Ages count to today, UTC.
WITH unpaid AS (
    SELECT
        tenant_id,
        customer.id AS customer_id,
        customer.name AS customer,
        balance,
        date_diff('day', coalesce("dueDate", "invoiceDate")::DATE, current_date) AS days_late
    FROM accounting.invoices
    WHERE active IS NOT false AND balance > 0
)
SELECT
    tenant_id,
    customer_id,
    any_value(customer) AS customer,
    count(*) AS invoices,
    coalesce(sum(balance) FILTER (days_late <= 0), 0)::DECIMAL(18, 2) AS not_due,
    coalesce(sum(balance) FILTER (days_late BETWEEN 1 AND 30), 0)::DECIMAL(18, 2) AS "1-30",
    coalesce(sum(balance) FILTER (days_late BETWEEN 31 AND 60), 0)::DECIMAL(18, 2) AS "31-60",
    coalesce(sum(balance) FILTER (days_late BETWEEN 61 AND 90), 0)::DECIMAL(18, 2) AS "61-90",
    coalesce(sum(balance) FILTER (days_late > 90), 0)::DECIMAL(18, 2) AS "over 90",
    coalesce(sum(balance) FILTER (days_late IS NULL), 0)::DECIMAL(18, 2) AS no_date,
    sum(balance)::DECIMAL(18, 2) AS total
FROM unpaid
GROUP BY tenant_id, customer_id
ORDER BY total DESC, customer_id
