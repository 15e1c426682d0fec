-- Revenue by month of the invoice and business unit.
--
--   st-export query "$(cat configs/recipes/revenue-by-month.sql)"
--
-- Reads accounting.invoices and accounting.invoice-items (two feeds). `revenue` is what the invoices say themselves, before tax;
-- `lines` is quantity times price of their lines, added up. Where the two differ, a line has another total than quantity times
-- price (a discount, a bundle), or the lines of that month are not all here yet.
-- The months are those of the invoice date in UTC. Inactive invoices are void.
WITH lines AS (
    SELECT _tenant_id, "invoiceId", sum(quantity * price) AS amount
    FROM accounting.invoice_items
    WHERE active IS NOT false
    GROUP BY ALL
)
SELECT
    invoice.tenant_id,
    strftime(invoice."invoiceDate", '%Y-%m') AS month,
    invoice."businessUnit".name AS business_unit,
    count(*) AS invoices,
    sum(invoice."subTotal")::DECIMAL(18, 2) AS revenue,
    coalesce(sum(lines.amount), 0)::DECIMAL(18, 2) AS lines,
    sum(invoice."salesTax")::DECIMAL(18, 2) AS sales_tax
FROM accounting.invoices AS invoice
LEFT JOIN lines ON lines._tenant_id = invoice._tenant_id AND lines."invoiceId" = invoice.id
WHERE invoice.active IS NOT false
GROUP BY ALL
ORDER BY ALL
